//! Checkpoints of other programs against what these programs make of them; and files that are damaged or made to do harm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ::safetensors::serialize;
use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::archive::Archive;
use super::positions::resampled;
use super::*;
use crate::train::TrainConfig;
use crate::train::data::DataConfig;
use crate::train::device::tested;
use crate::train::loss::{LogTInit, LossConfig, SoftmaxConfig};
use crate::train::model::open::{Opened, open};
use crate::train::model::weights::Weights;
use crate::train::model::{FileInit, Size, TextPool, TowerInit};
use crate::train::ops::Activation;

const FIXTURES: [&str; 6] = [
    "hf_siglip_tiny",
    "hf_clip_tiny",
    "open_clip_siglip",
    "open_clip_clip",
    "big_vision/checkpoint.npz",
    "big_vision_scan/checkpoint.npz",
];

/// What embeddings and logits may be off by.
const TOLERANCE: f32 = 2e-5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/towers")
        .join(name)
}

/// Tensors of a safetensors file as f32, with their shapes.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = file.tensors().into_iter().map(|(name, view)| {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            Dtype::I64 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b) as f32)
                .collect(),
            other => panic!("{other:?}"),
        };
        (name, (view.shape().to_vec(), values))
    });
    read.collect()
}

/// `[batch, 3, size, size]` to `[batch, size, size, 3]`.
fn channels_last(shape: &[usize], pixels: &[f32]) -> Vec<f32> {
    axes::transposed(pixels, shape, &[0, 2, 3, 1])
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// The largest differences of `model` from what is expected of it: image and text embeddings, logits.
fn differences(model: &Opened, folder: &Path) -> [f32; 3] {
    let expected = tensors(&folder.join("expected.safetensors"));
    let (shape, pixels) = &expected["pixel_values"];
    let (texts, ids) = &expected["input_ids"];
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let images = model.embed_images(&channels_last(shape, pixels));
    let texts = model.embed_texts(&ids, texts[1]).unwrap();
    let logits = model.logits(&images, &texts);
    [
        furthest(&images.values, &expected["image_embeds"].1),
        furthest(&texts.values, &expected["text_embeds"].1),
        furthest(&logits, &expected["logits_per_image"].1),
    ]
}

fn opened(path: &Path) -> Opened {
    open(path, &tested()).unwrap_or_else(|e| panic!("{e:#}"))
}

/// open_clip's trunk has 3 heads, which is for nobody to know: the toy is in no registry.
fn with_heads(path: &Path) -> Opened {
    if !path.ends_with("open_clip_siglip") {
        return opened(path);
    }
    let error = open(path, &tested()).map(drop).unwrap_err();
    assert!(
        format!("{error:#}").contains("heads of its image tower"),
        "{error:#}"
    );
    let mut file = Checkpoint::open(path).unwrap();
    let image = file.described.image.as_mut().unwrap();
    image.config.heads = 3;
    image.said(&["heads"]);
    crate::train::model::open::of_checkpoint(file, &tested()).unwrap()
}

#[test]
fn every_format_gives_what_its_own_program_gives() {
    for name in FIXTURES {
        let path = fixture(name);
        let folder = if path.is_dir() {
            path.as_path()
        } else {
            path.parent().unwrap()
        };
        let found = differences(&with_heads(&path), folder);
        println!("{name}: {found:?}");
        assert!(found.iter().all(|d| *d <= TOLERANCE), "{name}: {found:?}");
    }
}

#[test]
fn what_a_file_says_of_its_towers_is_read() {
    let siglip = Checkpoint::open(&fixture("hf_siglip_tiny"))
        .unwrap()
        .described;
    let (image, text) = (siglip.image.unwrap(), siglip.text.unwrap());
    assert_eq!(
        (
            image.config.width,
            image.config.depth,
            image.config.heads,
            image.config.mlp_width
        ),
        (48, 3, 4, 112)
    );
    assert_eq!((image.size, image.config.patch, image.outputs), (32, 8, 48));
    assert_eq!(image.config.activation, Activation::Tanh);
    assert_eq!(
        (text.config.pool, text.config.causal),
        (TextPool::Last, false)
    );
    assert_eq!((text.config.vocabulary, text.config.context), (96, 16));
    let clip = Checkpoint::open(&fixture("hf_clip_tiny"))
        .unwrap()
        .described;
    let (image, text) = (clip.image.unwrap(), clip.text.unwrap());
    assert!(image.config.pre_norm && !image.config.patch_bias && text.config.causal);
    assert_eq!((image.outputs, text.outputs), (24, 24));
    assert_eq!((text.config.pool, text.config.eos_id), (TextPool::Eos, 98));
    assert_eq!(clip.bias, None);
    let flax = Checkpoint::open(&fixture("big_vision_scan/checkpoint.npz"))
        .unwrap()
        .described;
    let image = flax.image.unwrap();
    assert_eq!((image.config.depth, image.config.heads), (2, 3));
    assert!(image.unsaid.is_empty(), "{:?}", image.unsaid);
}

/// The tensors of a fixture, each changed, in files of `per_file` tensors.
fn rewritten(
    name: &str,
    folder: &Path,
    per_file: usize,
    change: impl Fn(&str, Vec<f32>) -> (Dtype, Vec<u8>),
) {
    let source = fixture(name);
    let all = tensors(&source.join("model.safetensors"));
    fs::copy(source.join("config.json"), folder.join("config.json")).unwrap();
    fs::copy(
        source.join("expected.safetensors"),
        folder.join("expected.safetensors"),
    )
    .unwrap();
    let changed: Vec<_> = all
        .into_iter()
        .map(|(name, (shape, values))| {
            let (dtype, bytes) = change(&name, values);
            (name, dtype, shape, bytes)
        })
        .collect();
    let mut map = serde_json::Map::new();
    let files = changed.chunks(per_file).enumerate();
    for (n, part) in files {
        let file = if per_file < changed.len() {
            format!("model-{n:05}.safetensors")
        } else {
            "model.safetensors".into()
        };
        let views = part.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        });
        let bytes = serialize(views, None).unwrap();
        fs::write(folder.join(&file), bytes).unwrap();
        map.extend(part.iter().map(|(name, ..)| (name.clone(), json!(file))));
    }
    if per_file < changed.len() {
        let index = json!({ "metadata": {}, "weight_map": map });
        fs::write(
            folder.join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
    }
}

fn as_f32(values: Vec<f32>) -> (Dtype, Vec<u8>) {
    (
        Dtype::F32,
        values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    )
}

#[test]
fn shards_and_small_numbers_are_read() {
    let tmp = tempfile::tempdir().unwrap();
    rewritten("hf_clip_tiny", tmp.path(), 7, |_, values| as_f32(values));
    let found = differences(&opened(tmp.path()), tmp.path());
    assert!(found.iter().all(|d| *d <= TOLERANCE), "{found:?}");
    let index = tmp.path().join("model.safetensors.index.json");
    assert_eq!(differences(&opened(&index), tmp.path()), found);

    type Convert = fn(f32) -> [u8; 2];
    let kinds: [(Dtype, Convert, f32); 2] = [
        (Dtype::F16, |x| half::f16::from_f32(x).to_le_bytes(), 2e-3),
        (Dtype::BF16, |x| half::bf16::from_f32(x).to_le_bytes(), 2e-2),
    ];
    for (dtype, convert, most) in kinds {
        let tmp = tempfile::tempdir().unwrap();
        rewritten("hf_siglip_tiny", tmp.path(), 1000, |_, values| {
            (dtype, values.into_iter().flat_map(convert).collect())
        });
        let [image, text, _] = differences(&opened(tmp.path()), tmp.path());
        assert!(image <= most && text <= most, "{dtype:?}: {image} {text}");
        assert!(image > 1e-7, "{dtype:?} must round");
    }
}

#[test]
fn a_grid_of_positions_is_resampled_as_timm_does() {
    let grids = tensors(&fixture("positions.safetensors"));
    let (shape, grid) = &grids["grid_6"];
    for side in [3, 4, 7, 11] {
        let ours = resampled(grid, 6, side, shape[1]);
        let (_, theirs) = &grids[&format!("grid_{side}")];
        assert!(furthest(&ours, theirs) < 1e-5, "{side}");
    }
    assert!(furthest(&resampled(grid, 6, 6, shape[1]), grid) < 1e-6);
}

/// A run whose towers are those of the fixture `name`.
fn run_from(name: &str, partial: bool) -> TrainConfig {
    let mut config = TrainConfig::default();
    let init = || {
        TowerInit::File(FileInit {
            file: fixture(name).display().to_string(),
            partial,
        })
    };
    (config.model.image.init, config.model.text.init) = (init(), init());
    (config.model.image.size, config.model.text.size) = (Size::File, Size::File);
    config.model.embed_dim = 48;
    config
}

fn resolved(config: &TrainConfig) -> Result<(TrainConfig, Weights), String> {
    let mut weights = Weights::open(&config.model, true).map_err(|e| e.to_string())?;
    let config = weights.resolve(config).map_err(|e| e.to_string())?;
    config.validate().map_err(|e| e.to_string())?;
    Ok((config, weights))
}

/// Fill a model of `config` and say what did not fit.
fn filled(config: &TrainConfig) -> Result<(Layout, Vec<f32>, Vec<String>), String> {
    let (config, mut weights) = resolved(config)?;
    let inputs = crate::train::model::Inputs {
        image: config.data.image_size(),
        text: Some(config.model.text.vocabulary),
        classes: None,
    };
    let model = crate::train::model::Model::zeros(&config.model, &config.loss, inputs, &tested());
    let layout = Layout::of(&model);
    let mut values = vec![f32::NAN; layout.length()];
    let told = weights.fill(&mut values, &layout, &config);
    told.map(|told| (layout, values, told))
        .map_err(|e| e.to_string())
}

#[test]
fn a_run_takes_its_towers_and_scalars_from_a_file() {
    let mut config = run_from("hf_siglip_tiny", false);
    let LossConfig::Sigmoid(loss) = &mut config.loss else {
        unreachable!()
    };
    loss.log_t.init = LogTInit::File;
    loss.bias.init = crate::train::loss::BiasInit::File;
    let (resolved, _) = resolved(&config).unwrap();
    assert_eq!(resolved.model.image.width, 48);
    assert_eq!(resolved.model.text.vocabulary, 96);
    assert!((resolved.loss.log_t_init().unwrap() - 10.0_f64.ln()).abs() < 1e-6);
    assert_eq!(resolved.loss.bias_init(64), Some(-10.0));
    let (layout, values, told) = filled(&config).unwrap();
    assert_eq!(told, Vec::<String>::new());
    let unfilled = layout
        .entries()
        .iter()
        .filter(|entry| values[entry.range.clone()].iter().any(|x| x.is_nan()));
    let unfilled: Vec<_> = unfilled.map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        unfilled,
        ["log_t", "bias"],
        "scalars are the loss's to start"
    );

    config.loss = LossConfig::Softmax(SoftmaxConfig::default());
    filled(&config).unwrap();
}

fn images_of(size: usize) -> DataConfig {
    serde_json::from_value(json!({"kind": "shapes", "image_size": size})).unwrap()
}

#[test]
fn another_resolution_is_told() {
    let mut config = run_from("hf_siglip_tiny", false);
    config.data = images_of(48);
    let (_, values, told) = filled(&config).unwrap();
    assert!(
        told[0].contains("4x4 positions resampled to 6x6"),
        "{told:?}"
    );
    assert!(values.iter().filter(|x| x.is_nan()).count() == 2);
    config.data = images_of(36);
    let error = filled(&config).map(drop).unwrap_err();
    assert!(error.contains("model.image.patch"), "{error}");
}

#[test]
fn settings_that_the_file_contradicts_are_told_with_their_values() {
    let mut config = run_from("hf_siglip_tiny", false);
    config.model.embed_dim = 64;
    config.model.image.size = Size::Custom;
    let error = resolved(&config).map(drop).unwrap_err();
    for part in [
        "set model.image.width = 48 (it is 64)",
        "set model.image.heads = 4",
        "set model.image.mlp_width = 112 (it is 256)",
        "set model.image.activation = \"gelu_tanh\" (it is \"gelu\")",
        "set model.image.projection = \"none\"",
        "set model.embed_dim = 48 (it is 64)",
    ] {
        assert!(
            error.contains(part) || part.contains("heads"),
            "{part}: {error}"
        );
    }
    assert!(
        !error.contains("model.image.patch "),
        "it is the same: {error}"
    );
}

#[test]
fn a_partial_load_is_asked_for_and_told_by_name() {
    // A file without a block, and with something else.
    let tmp = tempfile::tempdir().unwrap();
    let all = tensors(&fixture("hf_siglip_tiny").join("model.safetensors"));
    let renamed: BTreeMap<String, (Vec<usize>, Vec<u8>)> = all
        .into_iter()
        .map(|(name, (shape, values))| {
            let name = name.replace("layers.1.mlp.fc1", "layers.1.mlp.fcX");
            (name, (shape, as_f32(values).1))
        })
        .collect();
    let views = renamed.iter().map(|(name, (shape, bytes))| {
        (
            name.as_str(),
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    let path = tmp.path().join("model.safetensors");
    fs::write(&path, serialize(views, None).unwrap()).unwrap();
    fs::copy(
        fixture("hf_siglip_tiny").join("config.json"),
        tmp.path().join("config.json"),
    )
    .unwrap();
    let mut config = run_from("hf_siglip_tiny", false);
    let init = |partial| {
        TowerInit::File(FileInit {
            file: tmp.path().display().to_string(),
            partial,
        })
    };
    config.model.image.init = init(false);
    let error = filled(&config).map(drop).unwrap_err();
    for part in [
        "missing: image.blocks.1.mlp.up.bias (vision_model.encoder.layers.1.mlp.fc1.bias)",
        "image.blocks.1.mlp.up.weight",
        "unused: vision_model.encoder.layers.1.mlp.fcX.bias",
        "partial = true",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    config.model.image.init = init(true);
    let (layout, values, told) = filled(&config).unwrap();
    assert!(told[0].contains("as a partial load"), "{told:?}");
    let range = |name: &str| layout.get(name).unwrap().range.clone();
    assert!(values[range("image.blocks.1.mlp.up.weight")][0].is_nan());
    assert!(!values[range("image.blocks.2.mlp.up.weight")][0].is_nan());
    // What is given is not all that it takes: a file with nothing of a tower is no start.
    let text_only = tempfile::tempdir().unwrap();
    fs::write(
        text_only.path().join("model.safetensors"),
        serialize(
            [(
                "text_model.x",
                TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap(),
            )],
            None,
        )
        .unwrap(),
    )
    .unwrap();
    let error = Checkpoint::open(text_only.path())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("none of the names") && error.contains("text_model.x"),
        "{error}"
    );
}

/// A safetensors file with this header and so many bytes of data.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn hostile_files_are_errors() {
    let tensor = |shape: &str, range: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{range}}}}}"#)
    };
    let many: String = (0..100_000)
        .map(|n| format!(r#""t{n}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"#))
        .collect();
    let mut long = with_header("{}", 0);
    long[..8].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    let mut over_cap = with_header(&" ".repeat(11 << 20), 0);
    over_cap[8] = b'{';
    let good = fs::read(fixture("hf_clip_tiny").join("model.safetensors")).unwrap();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("seven bytes", vec![0; 7]),
        ("no header", vec![0; 8]),
        ("header of 2^63", long),
        ("header of 2^64 - 1", vec![0xff; 64]),
        (
            "header longer than the file",
            with_header("{}", 0)[..9].to_vec(),
        ),
        ("header over the cap", over_cap),
        ("no JSON", with_header("hello", 0)),
        ("a list", with_header("[]", 0)),
        ("deep", with_header(&"[".repeat(100_000), 0)),
        ("not UTF-8", [&with_header("{\"", 0)[..], &[0xff]].concat()),
        (
            "overlap",
            with_header(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4,
            ),
        ),
        ("gap", with_header(&tensor("[1]", "[4,8]"), 8)),
        ("backwards", with_header(&tensor("[1]", "[4,0]"), 4)),
        ("beyond the end", with_header(&tensor("[4]", "[0,16]"), 4)),
        (
            "more than it claims",
            with_header(&tensor("[1]", "[0,4]"), 400),
        ),
        (
            "another size than its shape",
            with_header(&tensor("[2]", "[0,4]"), 4),
        ),
        (
            "a product that overflows",
            with_header(
                &tensor("[4611686018427387904,4611686018427387904]", "[0,4]"),
                4,
            ),
        ),
        (
            "a product that overflows to 0",
            with_header(&tensor("[4294967296,4294967296]", "[0,0]"), 0),
        ),
        ("a negative axis", with_header(&tensor("[-1]", "[0,4]"), 4)),
        (
            "a fraction of an axis",
            with_header(&tensor("[1.5]", "[0,4]"), 4),
        ),
        (
            "an unknown type",
            with_header(&tensor("[1]", "[0,4]").replace("F32", "F33"), 4),
        ),
        (
            "no type",
            with_header(&tensor("[1]", "[0,4]").replace("dtype", "type"), 4),
        ),
        (
            "100,000 tensors on one place",
            with_header(&format!("{{{}}}", many.trim_end_matches(',')), 4),
        ),
        ("cut off", good[..good.len() - 5].to_vec()),
        ("with a tail", [&good[..], &[0; 5]].concat()),
    ];
    assert!(cases.len() >= 25);
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("model.safetensors");
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::open(&path).map(drop).expect_err(what);
        assert!(
            error.to_string().contains("model.safetensors"),
            "{what}: {error}"
        );
    }
}

#[test]
fn shapes_that_no_tower_has_are_errors() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("model.safetensors");
    let patches = "vision_model.embeddings.patch_embedding.weight";
    let tokens = "text_model.embeddings.token_embedding.weight";
    let most = u64::from(u32::MAX) << 31;
    for (name, shape) in [
        (patches, format!("[0,{most},{most},{most}]")),
        (patches, "[]".to_owned()),
        (patches, "[0]".to_owned()),
        (patches, "[1,3,0,0]".to_owned()),
        (patches, format!("[{most},0,3,3]")),
        (tokens, format!("[0,{most}]")),
        (tokens, "[0,0,0]".to_owned()),
    ] {
        let bytes = if shape == "[]" { 4 } else { 0 };
        let header =
            format!(r#"{{"{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{bytes}]}}}}"#);
        fs::write(&path, with_header(&header, bytes)).unwrap();
        Checkpoint::open(&path).map(drop).expect_err(&shape);
    }
}

#[test]
fn names_from_a_file_cannot_drive_a_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("model.safetensors");
    let header = r#"{"\u001b[31m\u202e":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    fs::write(&path, with_header(header, 4)).unwrap();
    let error = Checkpoint::open(&path).map(drop).unwrap_err().to_string();
    assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error:?}");
}

#[test]
fn places_that_hold_no_weights_say_what_was_looked_for() {
    let tmp = tempfile::tempdir().unwrap();
    let error = |path: &Path| Checkpoint::open(path).map(drop).unwrap_err().to_string();
    assert!(error(tmp.path()).contains("model.safetensors.index.json"));
    assert!(error(&tmp.path().join("nothing")).contains("not there"));
    fs::write(tmp.path().join("pytorch_model.bin"), b"PK").unwrap();
    assert!(error(tmp.path()).contains("save it with safetensors"));
    assert!(error(&tmp.path().join("pytorch_model.bin")).contains("save it with safetensors"));
    let index = tmp.path().join("model.safetensors.index.json");
    for climbing in [
        "../model.safetensors",
        "/etc/x.safetensors",
        "",
        "a/b.safetensors",
    ] {
        fs::write(&index, json!({"weight_map": {"a": climbing}}).to_string()).unwrap();
        assert!(error(tmp.path()).contains("not the name"), "{climbing}");
    }
    fs::write(
        &index,
        json!({"weight_map": {"a": "gone.safetensors"}}).to_string(),
    )
    .unwrap();
    assert!(error(tmp.path()).contains("gone.safetensors"));
    fs::write(&index, "{}").unwrap();
    assert!(error(tmp.path()).contains("weight_map"));
}

#[test]
fn settings_beside_the_weights_that_are_no_use_say_so() {
    let tmp = tempfile::tempdir().unwrap();
    rewritten("hf_siglip_tiny", tmp.path(), 1000, |_, values| {
        as_f32(values)
    });
    let config = tmp.path().join("config.json");
    let good: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        fs::write(&config, changed.to_string()).unwrap();
        let error = open(tmp.path(), &tested()).map(drop).unwrap_err();
        format!("{error:#}")
    };
    let error = with(&|c| c["model_type"] = json!("siglip2"));
    assert!(error.contains("model_type is `siglip2`"), "{error}");
    let error = with(&|c| c["vision_config"]["hidden_act"] = json!("relu"));
    assert!(error.contains("hidden_act is `relu`"), "{error}");
    let error = with(&|c| c["text_config"]["num_attention_heads"] = json!(-3));
    assert!(error.contains("num_attention_heads is -3"), "{error}");
    fs::write(&config, "{").unwrap();
    assert!(open(tmp.path(), &tested()).is_err());
    fs::remove_file(&config).unwrap();
    let error = format!("{:#}", open(tmp.path(), &tested()).map(drop).unwrap_err());
    assert!(
        error.contains("does not say") && error.contains("config.json"),
        "{error}"
    );
}

/// An npz with one array of this npy content.
fn npz(name: &str, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = npyz::npz::NpzWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .zip_writer()
        .start_file(name, Default::default())
        .unwrap();
    writer.zip_writer().write_all(content).unwrap();
    writer.zip_writer().finish().unwrap().into_inner()
}

fn npy(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn hostile_npz_files_are_errors() {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
    };
    let huge = "(4611686018427387904, 4611686018427387904)";
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no zip", b"PK".to_vec()),
        ("empty", vec![]),
        ("no npy", npz("a.npy", b"hello")),
        ("a header of 4 GiB", npz("a.npy", &long)),
        ("pickled", npz("a.npy", &npy(&header("|O", "(1,)"), 8))),
        (
            "a product that overflows",
            npz("a.npy", &npy(&header("<f4", huge), 4)),
        ),
        (
            "larger than the file",
            npz("a.npy", &npy(&header("<f4", "(1000000,)"), 4)),
        ),
        (
            "another size",
            npz("a.npy", &npy(&header("<f4", "(2,)"), 4)),
        ),
        ("deep", npz("a.npy", &npy(&"(".repeat(4000), 0))),
        (
            "a negative axis",
            npz("a.npy", &npy(&header("<f4", "(-1,)"), 4)),
        ),
    ];
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("x.npz");
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        Archive::open(&path).map(drop).expect_err(what);
    }
    // Numbers that lie column by column are turned.
    let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
    let mut array = npy(text, 0);
    array.extend(
        [0.0_f32, 3.0, 1.0, 4.0, 2.0, 5.0]
            .iter()
            .flat_map(|x| x.to_le_bytes()),
    );
    fs::write(&path, npz("a/b.npy", &array)).unwrap();
    let mut archive = Archive::open(&path).unwrap();
    assert_eq!(archive.shape("a/b"), Some(&[2, 3][..]));
    assert_eq!(archive.read("a/b").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A good file with some bytes changed is an error or a file, never a panic.
    #[test]
    fn damaged_files_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), npz in any::<bool>(), cut in 0_usize..2_000) {
        let (source, name) = if npz {
            (fixture("big_vision_scan").join("checkpoint.npz"), "x.npz")
        } else {
            (fixture("open_clip_clip").join("open_clip_model.safetensors"), "x.safetensors")
        };
        let mut bytes = fs::read(source).unwrap();
        // The head of one and the tail of the other are what is read by meaning.
        let lot = 6_000;
        let from = if npz { bytes.len() - lot } else { 0 };
        for (at, value) in changes {
            bytes[from + at.index(lot)] = value;
        }
        if cut < 100 {
            bytes.truncate(bytes.len() - cut);
        }
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join(name);
        fs::write(&path, bytes).unwrap();
        if let Ok(file) = Checkpoint::open(&path) {
            drop(crate::train::model::open::of_checkpoint(file, &tested()));
        }
    }
}
