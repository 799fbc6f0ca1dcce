//! Ids are those of Hugging Face's own tokenizers, on texts that are awkward, and of the lengths that towers want.

use std::path::PathBuf;

use super::*;

/// In tests/fixtures/tokenizers.
fn fixture(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokenizers");
    PathBuf::from(fixtures).join(name)
}

#[derive(Deserialize)]
struct Expected {
    text: String,
    ids: Vec<i32>,
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// Settings for the tokenizer in the fixture `name`.
fn of_file(name: &str) -> TokensConfig {
    TokensConfig {
        tokenizer: TokenizerConfig::File(fixture(name).display().to_string()),
        ..TokensConfig::default()
    }
}

fn open(config: &TokensConfig, context: usize) -> Result<Tokenizer, DataError> {
    Tokenizer::open(config, None, context)
}

fn refusal(config: &TokensConfig, context: usize) -> String {
    open(config, context).unwrap_err().to_string()
}

#[test]
fn every_kind_of_tokenizer_gives_the_ids_of_hugging_face() {
    for kind in ["bpe", "wordpiece", "unigram"] {
        let file = File::open(&fixture(&format!("{kind}.json"))).unwrap();
        for Expected { text, ids } in read(&format!("{kind}.expected.json")) {
            let ours: Vec<i32> = file.ids(&text).unwrap().collect();
            assert_eq!(ours, ids, "{kind}: {text}");
        }
    }
}

#[test]
fn texts_are_framed_as_siglip_and_clip_frame_them() {
    for (folder, padding) in [("siglip", Padding::Siglip), ("clip", Padding::Clip)] {
        for padding in [Padding::Own, padding] {
            let config = TokensConfig {
                padding,
                ..of_file(folder)
            };
            let tokenizer = open(&config, 12).unwrap();
            for Expected { text, ids } in read(&format!("{folder}/expected.json")) {
                assert_eq!(
                    tokenizer.tokens(&text).unwrap(),
                    ids,
                    "{folder} {padding:?}: {text}"
                );
            }
        }
    }
}

#[test]
fn sizes_ends_and_plain_ids_are_those_of_the_file() {
    let clip = open(&of_file("clip"), 12).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("clip/tokenizer.json")).unwrap()).unwrap();
    let vocabulary = config["model"]["vocab"].as_object().unwrap();
    assert_eq!(clip.ids(), vocabulary.len());
    assert_eq!(clip.end(), Some(573));
    assert_eq!(clip.room(), 10);
    assert!(
        clip.plain().iter().copied().eq(0..572),
        "all but start and end"
    );
    let siglip = open(&of_file("siglip"), 12).unwrap();
    assert_eq!((siglip.end(), siglip.room()), (Some(1), 11));
    assert_eq!(siglip.plain()[0], 3, "after padding, end and unknown");
}

#[test]
fn tokens_can_be_named() {
    let text = "a red circle";
    let bare = File::open(&fixture("bpe.json"))
        .unwrap()
        .ids(text)
        .unwrap()
        .collect::<Vec<_>>();
    let tokens = |config: &TokensConfig| open(config, 8).unwrap().tokens(text).unwrap();
    // This file has no post-processor and nothing beside it: <pad>, <unk> and </s> are found by their names.
    let config = of_file("bpe.json");
    let framed = |after: &[i32], fill| {
        let mut ids = [&bare, after].concat();
        ids.resize(8, fill);
        ids
    };
    assert_eq!(tokens(&config), framed(&[], 0));
    let siglip = TokensConfig {
        padding: Padding::Siglip,
        ..config
    };
    assert_eq!(tokens(&siglip), framed(&[2], 2));
    let padded = TokensConfig {
        pad: "<pad>".into(),
        ..siglip.clone()
    };
    assert_eq!(tokens(&padded), framed(&[2], 0));
    let ended = TokensConfig {
        end: "<unk>".into(),
        ..siglip
    };
    assert_eq!(tokens(&ended), framed(&[1], 1));
    let clip = TokensConfig {
        padding: Padding::Clip,
        start: "<unk>".into(),
        ..of_file("bpe.json")
    };
    assert_eq!(tokens(&clip)[..2], [1, bare[0]]);
}

#[test]
fn a_tokenizer_that_cannot_serve_says_what_to_change() {
    let clip = TokensConfig {
        padding: Padding::Clip,
        ..of_file("bpe.json")
    };
    let said = refusal(&clip, 8);
    assert!(
        said.starts_with("data.text.start") && said.contains("bpe.json"),
        "{said}"
    );
    let named = TokensConfig {
        pad: "<nil>".into(),
        ..of_file("bpe.json")
    };
    assert!(
        refusal(&named, 8).starts_with("data.text.pad: ") && refusal(&named, 8).contains("`<nil>`")
    );
    assert!(refusal(&of_file("clip"), 2).starts_with("model.text.context: 2"));
    let bytes = TokensConfig {
        padding: Padding::Clip,
        ..TokensConfig::default()
    };
    assert!(refusal(&bytes, 8).starts_with("data.text.padding"));
    assert!(refusal(&of_file("nothing.json"), 8).contains("nothing.json"));
    assert!(
        refusal(&of_file("bpe.expected.json"), 8).contains("bpe.expected.json: is not a tokenizer")
    );
}

#[test]
fn a_tokenizer_that_draws_lots_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("bpe.json")).unwrap()).unwrap();
    file["model"]["dropout"] = 0.1.into();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let config = TokensConfig {
        tokenizer: TokenizerConfig::File(folder.path().display().to_string()),
        ..TokensConfig::default()
    };
    assert!(refusal(&config, 8).contains("dropout"));
}

#[test]
fn bytes_say_everything() {
    let tokenizer = open(&TokensConfig::default(), 8).unwrap();
    let ids = |text: &str| tokenizer.tokens(text).unwrap();
    // "é" is C3 A9.
    assert_eq!(ids("aé"), [0x61 + 3, 0xC3 + 3, 0xA9 + 3, 1, 1, 1, 1, 1]);
    assert_eq!(ids(""), [1; 8]);
    assert_eq!(ids("a longer text")[7], 1);
    assert_eq!(
        (tokenizer.ids(), tokenizer.end(), tokenizer.plain().len()),
        (259, Some(1), 256)
    );
}

#[test]
fn the_words_of_the_data_are_those_of_before() {
    let words = Vocabulary::new(["a red ring"]);
    let tokenizer = Tokenizer::open(&TokensConfig::default(), Some(words), 6).unwrap();
    let ids = |text: &str| tokenizer.tokens(text).unwrap();
    assert_eq!(ids("A (red) star"), [2, 3, words::UNKNOWN, 0, 0, 0]);
    assert_eq!(ids("a red ring a red ring"), [2, 3, 4, 2, 3, words::END]);
    assert_eq!(ids(""), [words::END; 6]);
    assert_eq!((tokenizer.ids(), tokenizer.plain()), (5, &[2, 3, 4][..]));
}

#[test]
fn canonical_forms_are_those_of_open_clip() {
    #[derive(Deserialize)]
    struct Case {
        text: String,
        canonical: String,
    }
    for Case { text, canonical } in read("canonical.json") {
        assert_eq!(Canonical::Siglip.of(&text), canonical, "{text:?}");
        assert_eq!(Canonical::None.of(&text), text);
    }
    assert_eq!(Canonical::Lower.of("A_b, C"), "a_b, c");
    // It comes before the split.
    let config = TokensConfig {
        canonicalise: Canonical::Siglip,
        ..TokensConfig::default()
    };
    let [canonical, plain] =
        [config, TokensConfig::default()].map(|config| open(&config, 12).unwrap());
    assert_eq!(
        canonical.tokens("A, B_c").unwrap(),
        plain.tokens("a b c").unwrap()
    );
}

#[test]
fn settings_that_name_nothing_are_refused() {
    let key = |config: TokensConfig| config.validate().unwrap_err().key;
    assert_eq!(
        key(TokensConfig {
            pad: "x".into(),
            ..TokensConfig::default()
        }),
        "data.text.pad"
    );
    assert_eq!(
        key(TokensConfig {
            tokenizer: TokenizerConfig::File(String::new()),
            ..TokensConfig::default()
        }),
        "data.text.tokenizer"
    );
    TokensConfig::default().validate().unwrap();
}

#[test]
fn what_is_kept_of_a_text_tower_depends_on_the_tokenizer() {
    let identity = |config: &TokensConfig, context| open(config, context).unwrap().identity();
    let base = identity(&of_file("clip"), 12);
    assert_eq!(base, identity(&of_file("clip"), 12));
    let lower = TokensConfig {
        canonicalise: Canonical::Lower,
        ..of_file("clip")
    };
    for other in [
        identity(&of_file("siglip"), 12),
        identity(&lower, 12),
        identity(&of_file("clip"), 13),
    ] {
        assert_ne!(base, other);
    }
}
