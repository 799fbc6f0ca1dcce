//! `siglab eval MODEL DATA`: what a model makes of a data set, as a table with intervals, or as CLIP_benchmark writes it.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde_json::{Map, Value, json};

use super::{DONE, print, tell};
use crate::export::align;
use crate::record::RunDir;
use crate::spec::RunSpec;
use crate::train::data::Resize;
use crate::train::device;
use crate::train::eval::proportion::Proportion;
use crate::train::eval::sets::{EvalSet, Reading, Results, SetConfig};
use crate::train::eval::{AMONG, EvalConfig, Hits, Retrieval};
use crate::train::model::open::{self, Opened};
use crate::util::printable;

/// Evaluate a model on a data set: zero-shot classification where its pictures have classes, retrieval where they have
/// captions.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run, by its directory or the beginning of its id, or a checkpoint of Hugging Face, open_clip, timm or big_vision.
    model: String,
    /// A folder as CLIP_benchmark keeps it, a folder with one folder a class, shards (`{000..012}.tar`), a .csv, .tsv or
    /// .parquet table.
    data: String,
    /// What is said of a class: `best` (CLIP's seven), `plain`, or a file with one template a line [default: the data set's].
    #[arg(long, value_name = "NAME")]
    templates: Option<String>,
    /// Where captions are, as data.caption.
    #[arg(long, value_name = "FIELD", default_value = "")]
    caption: String,
    /// Where the caption's language is, as data.language.
    #[arg(long, value_name = "FIELD", default_value = "")]
    language: String,
    /// Where the class is, as data.label.
    #[arg(long, value_name = "FIELD", default_value = "")]
    label: String,
    /// The tokenizer.json of a model that has none beside it.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Lower case and no punctuation in texts, as SigLIP was trained; a tokenizer's file may do so itself.
    #[arg(long)]
    canonical: bool,
    /// Cut pictures to a square, as CLIP does, and do not squash them, as SigLIP does.
    #[arg(long)]
    crop: bool,
    /// Fit a linear map to embeddings of the data set's train part as well.
    #[arg(long)]
    linear_probe: bool,
    /// Let the nearest pictures of the data set's train part vote as well.
    #[arg(long)]
    knn: bool,
    /// Pictures of the train part, at most.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    bank: u32,
    /// Device to embed on.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// One JSON object a task, in CLIP_benchmark's form.
    #[arg(long)]
    json: bool,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let device = device::open(&args.device)?;
    let path = super::model_path(workspace, &args.model)?;
    let opened = open::open(&path, &device)?;
    let reading = reading(&path, &opened, &args)?;
    let set = EvalSet::open(&SetConfig {
        name: name_of(&args.data),
        path: args.data.clone(),
        templates: args.templates.clone().unwrap_or_default(),
        caption: args.caption.clone(),
        language: args.language.clone(),
        label: args.label.clone(),
    })?;
    if set.skips().count() > 0 {
        tell(format_args!("{}: {}", printable(&args.data), set.skips()));
    }
    let config = EvalConfig {
        linear_probe: args.linear_probe,
        knn_probe: args.knn,
        bank: args.bank as usize,
        ..EvalConfig::default()
    };
    ensure!(
        !(args.linear_probe || args.knn) || set.has_train_part(),
        "{}: there is no train part with classes, which a probe learns from",
        args.data
    );
    let results = set.run(&config, &opened.model, &reading, &device)?;
    if args.json {
        let tasks = tasks(&results).into_iter();
        let lines = tasks.map(|task| format!("{}\n", task.object(&args)));
        print(&lines.collect::<String>())?;
    } else {
        let pictures = set.pictures();
        let heading = format!("{} on {}, {pictures} pictures", args.model, set.name());
        print(&format!("{}\n\n{}", printable(&heading), table(&results)))?;
    }
    Ok(DONE)
}

/// The last part of a path, with nothing in it that a name cannot have.
fn name_of(data: &str) -> String {
    let last = data
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(data);
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-_.".contains(c) {
        true => c,
        false => '-',
    };
    last.chars().map(plain).collect()
}

/// How the model reads pictures and texts: as its run did, or as the files beside it say.
fn reading(path: &Path, opened: &Opened, args: &Args) -> anyhow::Result<Reading> {
    let run = RunDir::new(path);
    let mut reading = match run.spec().exists() {
        // The spec may leave the shape of the tower to a file; the model has it.
        true => Reading::of_run(
            &RunSpec::read(&run)?.config.data,
            opened.config.text.context,
        )?,
        false => Reading::of_model(opened, args.tokenizer.as_deref(), args.canonical)?,
    };
    if args.crop {
        reading.preparation.resize = Resize::Crop;
    }
    Ok(reading)
}

/// One thing that was measured.
struct Task {
    /// CLIP_benchmark's word.
    name: &'static str,
    language: String,
    measures: Vec<Measure>,
}

struct Measure {
    /// CLIP_benchmark's key.
    key: String,
    /// For people.
    words: String,
    value: Option<f64>,
    /// What the value is a share of, where it is one of independent trials.
    of: Option<Proportion>,
}

impl Measure {
    fn share(key: &str, words: &str, of: Proportion) -> Self {
        Self {
            key: key.to_owned(),
            words: words.to_owned(),
            value: of.share(),
            of: Some(of),
        }
    }
}

fn tasks(results: &Results) -> Vec<Task> {
    let english = || "en".to_owned();
    let mut tasks = Vec::new();
    if let Some(hits) = &results.zeroshot {
        tasks.push(Task {
            name: "zeroshot_classification",
            language: english(),
            measures: of_hits(hits, "", "zero-shot"),
        });
    }
    if let Some((hits, _)) = &results.linear_probe {
        tasks.push(Task {
            name: "linear_probe",
            language: english(),
            measures: of_hits(hits, "lp_", "linear probe"),
        });
    }
    if let Some(found) = &results.neighbours {
        tasks.push(Task {
            name: "knn",
            language: english(),
            measures: vec![
                Measure::share("knn1_acc1", "nearest neighbour", found.nearest),
                Measure::share("knn20_acc1", "vote of 20 neighbours", found.voted),
            ],
        });
    }
    for (language, found) in results.retrieval.iter().flatten() {
        let language = match language.as_str() {
            "" => english(),
            code => code.to_owned(),
        };
        tasks.push(Task {
            name: "zeroshot_retrieval",
            measures: of_retrieval(found),
            language,
        });
    }
    tasks
}

fn of_hits(hits: &Hits, prefix: &str, words: &str) -> Vec<Measure> {
    let key = |name: &str| format!("{prefix}{name}");
    let mut measures = vec![Measure::share(
        &key("acc1"),
        &format!("{words} top-1"),
        hits.top1(),
    )];
    let top5 = hits.top5();
    measures.extend(top5.map(|top5| Measure::share(&key("acc5"), &format!("{words} top-5"), top5)));
    measures.push(Measure {
        key: key("mean_per_class_recall"),
        words: format!("{words} mean per class"),
        value: hits.mean_per_class_recall(),
        of: None,
    });
    measures
}

fn of_retrieval(found: &Retrieval) -> Vec<Measure> {
    let ways = [
        ("image", "text to image", found.text_to_image),
        ("text", "image to text", found.image_to_text),
    ];
    let each = ways.into_iter().flat_map(|(found, words, recalls)| {
        AMONG.into_iter().zip(recalls.0).map(move |(k, recall)| {
            let key = format!("{found}_retrieval_recall@{k}");
            Measure::share(&key, &format!("{words} R@{k}"), recall)
        })
    });
    each.collect()
}

impl Task {
    /// In CLIP_benchmark's form; what it has not are the intervals.
    fn object(&self, args: &Args) -> Value {
        let values = self
            .measures
            .iter()
            .map(|m| (m.key.clone(), json!(m.value)));
        let shares = self.measures.iter().filter_map(|m| Some((m, m.of?)));
        let intervals = shares.map(|(m, of)| (m.key.clone(), json!(of.interval())));
        json!({
            "dataset": name_of(&args.data),
            "model": name_of(&args.model),
            "pretrained": args.model,
            "task": self.name,
            "metrics": values.collect::<Map<_, _>>(),
            "language": self.language,
            "intervals": intervals.collect::<Map<_, _>>(),
        })
    }
}

fn table(results: &Results) -> String {
    let tasks = tasks(results);
    let languages = results.retrieval.as_ref().map_or(0, |found| found.len());
    let percent = |x: f64| format!("{:.1}", 100.0 * x);
    let heading = ["", "%", "95 % interval", "of"].map(str::to_owned).to_vec();
    let mut lines = vec![heading];
    for task in &tasks {
        for measure in &task.measures {
            let mut line = vec![measure.words.clone()];
            if languages > 1 && task.name == "zeroshot_retrieval" {
                line[0] = format!("{}, {}", measure.words, printable(&task.language));
            }
            line.push(measure.value.map_or_else(|| "-".into(), percent));
            if let Some(of) = measure.of {
                let [low, high] = of.interval().map(percent);
                line.extend([format!("{low} to {high}"), of.trials.to_string()]);
            }
            lines.push(line);
        }
    }
    if let Some((_, c)) = &results.linear_probe {
        lines.push(vec!["linear probe C".into(), format!("{c}")]);
    }
    align(&lines)
}
