//! What settings and measurements are called in print: the field's words for what siglab knows by a dotted path. What is
//! not listed keeps its own name.

use super::super::number::Scale;

/// Keys of axes.
const SETTINGS: [(&str, &str); 22] = [
    ("train.batch_size", "Batch size"),
    ("train.examples", "Examples seen"),
    ("loss.kind", "Loss"),
    ("loss.bias.init", "Initial bias"),
    ("loss.log_t.init", "Initial log temperature"),
    ("loss.normalisation", "Normalisation"),
    ("loss.negatives.keep", "Negatives kept"),
    ("loss.negatives.ratio", "Negatives for each positive"),
    ("optim.kind", "Optimiser"),
    ("optim.lr", "Learning rate"),
    ("optim.beta1", "β1"),
    ("optim.beta2", "β2"),
    ("optim.weight_decay", "Weight decay"),
    ("optim.clip_norm", "Gradient clipping"),
    ("optim.image.lr_mult", "Image learning rate multiplier"),
    ("optim.image.weight_decay", "Image weight decay"),
    ("model.image.size", "Image tower"),
    ("model.text.size", "Text tower"),
    ("data.pairs", "Training pairs"),
    ("data.corrupt.image", "Corrupted images"),
    ("data.corrupt.text", "Corrupted texts"),
    ("data.corrupt.alignment", "Shuffled pairs"),
];

const METRICS: [(&str, &str); 22] = [
    ("loss", "Loss"),
    ("grad_norm", "Gradient norm"),
    ("update_norm", "Update norm"),
    ("param_norm", "Parameter norm"),
    ("log_t", "Log temperature"),
    ("logit_scale", "Logit scale"),
    ("bias", "Bias"),
    ("lr", "Learning rate"),
    ("examples_per_second", "Examples per second"),
    ("mi_bound", "Bound on mutual information"),
    ("negatives_kept", "Negatives kept"),
    ("zeroshot/top1", "Zero-shot top-1"),
    ("zeroshot/top5", "Zero-shot top-5"),
    ("knn/top1", "kNN top-1"),
    ("linear_probe/top1", "Linear probe top-1"),
    ("retrieval/image_to_text/r1", "Image-to-text R@1"),
    ("retrieval/text_to_image/r1", "Text-to-image R@1"),
    ("positive_logit/mean", "Mean logit of positives"),
    ("negative_logit/mean", "Mean logit of negatives"),
    ("val/loss", "Validation loss"),
    ("grad_share/positive", "Share of gradient from positives"),
    (
        "grad_share/hardest_1pct",
        "Share of gradient from hardest 1 %",
    ),
];

/// An axis by its heading, which is one key or several that move together.
pub fn axis(name: &str) -> String {
    let keys = name.split(", ");
    let words = keys.map(|key| listed(&SETTINGS, key).unwrap_or(key));
    words.collect::<Vec<_>>().join(", ")
}

/// A measurement with its unit.
pub fn metric(name: &str) -> String {
    let words = match name.split_once('/') {
        _ if listed(&METRICS, name).is_some() => listed(&METRICS, name).unwrap_or(name).to_owned(),
        Some(("staleness", layer)) => format!("Staleness of {layer}"),
        _ => name.to_owned(),
    };
    match Scale::of(name) {
        Scale::Percent => format!("{words} (%)"),
        Scale::Plain => words,
    }
}

/// Words that began a label, within a sentence: without their capital, unless it is one of several.
pub fn within(words: &str) -> String {
    let mut letters = words.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(words.chars().skip(1)).collect()
        }
        _ => words.to_owned(),
    }
}

fn listed<'n>(list: &'n [(&str, &'n str)], name: &str) -> Option<&'n str> {
    let found = list.iter().find(|(known, _)| *known == name);
    found.map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_where_there_are_some() {
        assert_eq!(axis("train.batch_size"), "Batch size");
        assert_eq!(
            axis("loss.bias.init, loss.log_t.init"),
            "Initial bias, Initial log temperature"
        );
        assert_eq!(axis("model.image.depth"), "model.image.depth");
        assert_eq!(metric("zeroshot/top1"), "Zero-shot top-1 (%)");
        assert_eq!(metric("retrieval/x/r10"), "retrieval/x/r10 (%)");
        assert_eq!(
            metric("staleness/text.block.0"),
            "Staleness of text.block.0"
        );
        assert_eq!(metric("grad_norm"), "Gradient norm");
        assert_eq!(within("Zero-shot top-1 (%)"), "zero-shot top-1 (%)");
        assert_eq!(within("R@1"), "R@1");
    }
}
