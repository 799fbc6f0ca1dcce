//! Bytes from strangers, against every parser that takes some: it comes back with a result or an error, in a second of
//! processor time and with memory that the size of the input warrants. A binary of its own, since it counts what it
//! allocates.
//!
//! `cargo test --test hostile` replays the saved inputs and some hundred changed ones a parser.
//! `cargo test --release --test hostile -- --ignored` goes on for a minute a parser; what trips one is saved in
//! `tests/fixtures/hostile/PARSER`, and replayed from then on.

mod bounds;
mod data;
mod experiments;
mod fuzz;
mod runs;
mod weights;

#[global_allocator]
static ALLOCATOR: bounds::Counting = bounds::Counting;

/// A test that replays and changes a little, and one that goes on for a minute, for each parser.
macro_rules! parsers {
    ($($name:ident: $parser:expr;)*) => {
        mod quick {
            $(#[test]
            fn $name() {
                $parser.try_few();
            })*
        }

        mod full {
            $(#[test]
            #[ignore = "a minute"]
            fn $name() {
                $parser.try_for_a_minute();
            })*
        }
    };
}

parsers! {
    experiment_file: crate::experiments::file();
    values_and_edits: crate::experiments::edit();
    queries_and_keys: crate::experiments::words();
    safetensors: crate::weights::safetensors();
    npz: crate::weights::npz();
    settings_beside_weights: crate::weights::settings();
    tar: crate::data::tar();
    table: crate::data::table();
    parquet: crate::data::parquet();
    npy: crate::data::npy();
    vectors_of_safetensors: crate::data::vectors();
    pictures: crate::data::pictures();
    tokenizer: crate::data::tokenizer();
    class_names: crate::data::class_names();
    caption_json: crate::data::caption_json();
    events: crate::runs::events();
    metrics: crate::runs::metrics();
    spec: crate::runs::spec();
    want_and_lease: crate::runs::want_and_lease();
}
