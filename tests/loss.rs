//! What the losses need of a machine, measured on the real program: memory is that of the embeddings and of tiles.

use std::process::Command;

/// Peak memory of `siglab bench loss` with some arguments, in MiB.
fn peak(arguments: &[&str]) -> f64 {
    let out = Command::new(env!("CARGO_BIN_EXE_siglab"))
        .args(["bench", "loss", "--repeat", "1", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let line: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    line["peak_rss_mb"].as_f64().unwrap()
}

/// The matrix of all pairs would be 1 GiB.
#[test]
fn a_batch_of_16384_takes_less_than_250_mb() {
    for kind in ["sigmoid", "softmax"] {
        let mib = peak(&[
            "--kind", kind, "--batch", "16384", "--dim", "256", "--tile", "512",
        ]);
        assert!(mib * 1.048_576 < 250.0, "{kind}: {mib:.0} MiB");
    }
}

/// All ranks share this process, so what each holds adds up: its embeddings, and squares and what the allocator keeps for its
/// threads. A rank's rows of logits with the whole batch would be 96 MiB more for each of the six.
#[test]
fn with_more_ranks_memory_grows_by_their_embeddings() {
    let (pairs, dim) = (2048, 64);
    let of = |kind, ranks: usize| {
        let (batch, ranks) = ((pairs * ranks).to_string(), ranks.to_string());
        let dim = dim.to_string();
        peak(&[
            "--kind", kind, "--batch", &batch, "--dim", &dim, "--ranks", &ranks,
        ])
    };
    for kind in ["sigmoid", "softmax"] {
        let grown = of(kind, 6) - of(kind, 1);
        let embeddings = (pairs * dim * 4) as f64 / f64::from(1 << 20);
        // Of images and texts: the embeddings, a copy that travels, gradients, what was packed of them, and a gradient
        // under way.
        let rank = 14.0 * embeddings + 16.0;
        assert!(
            grown < 5.0 * rank,
            "{kind}: {grown:.0} MiB more, {rank:.0} for each of five"
        );
    }
}
