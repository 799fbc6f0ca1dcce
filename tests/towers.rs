//! Checkpoints of other programs through the real program: embedded, converted, and trained on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::tensor::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/towers")
        .join(name)
}

fn siglab(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command.args(arguments.iter().map(|a| a.as_ref()));
    command.output().unwrap()
}

fn done(out: Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    said
}

fn floats(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    let values = |data: &[u8]| {
        data.as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect()
    };
    tensors
        .map(|(name, view)| (name, values(view.data())))
        .collect()
}

/// What `model` makes of the inputs in `expected`, against what stands beside them, within 2e-5.
fn embeds_as_expected(model: &Path, expected: &Path) {
    let tmp = tempfile::tempdir().unwrap();
    let output = tmp.path().join("out.safetensors");
    done(siglab(&[
        &"embed",
        &"--model",
        &model,
        &"--inputs",
        &expected,
        &"--output",
        &output,
    ]));
    let (found, expected) = (floats(&output), floats(expected));
    assert_eq!(found.len(), 3);
    for (name, values) in found {
        let off = values
            .iter()
            .zip(&expected[&name])
            .map(|(a, b)| (a - b).abs());
        assert_eq!(values.len(), expected[&name].len());
        assert!(
            off.fold(0.0, f32::max) <= 2e-5,
            "{}: {name}",
            model.display()
        );
    }
}

#[test]
fn checkpoints_embed_as_their_own_programs_do_and_so_does_what_they_are_converted_to() {
    for name in [
        "hf_siglip_tiny",
        "hf_clip_tiny",
        "open_clip_clip",
        "big_vision/checkpoint.npz",
    ] {
        let model = fixture(name);
        let expected = fixture(name.split('/').next().unwrap()).join("expected.safetensors");
        embeds_as_expected(&model, &expected);
        let tmp = tempfile::tempdir().unwrap();
        let out = tmp.path().join("out");
        let said = done(siglab(&[&"convert", &model, &out]));
        assert!(
            said.contains("SiglipModel") || said.contains("CLIPModel"),
            "{said}"
        );
        embeds_as_expected(&out, &expected);
        // What came out of Hugging Face's layout goes back into it as it was.
        if name.starts_with("hf_") {
            let (back, there) = (
                floats(&out.join("model.safetensors")),
                floats(&model.join("model.safetensors")),
            );
            assert_eq!(
                back.keys().collect::<Vec<_>>(),
                there.keys().collect::<Vec<_>>()
            );
            assert!(back == there, "{name}");
        }
        let again = siglab(&[&"convert", &model, &out]);
        assert!(!again.status.success());
        assert!(String::from_utf8_lossy(&again.stderr).contains("holds a model already"));
    }
}

#[test]
fn what_cannot_be_embedded_says_why() {
    let tmp = tempfile::tempdir().unwrap();
    let output = tmp.path().join("out.safetensors");
    let refusal = |model: &Path, inputs: &Path| {
        let out = siglab(&[
            &"embed",
            &"--model",
            &model,
            &"--inputs",
            &inputs,
            &"--output",
            &output,
        ]);
        assert!(!out.status.success() && !output.exists());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let siglip = fixture("hf_siglip_tiny");
    let of_clip = fixture("hf_clip_tiny").join("expected.safetensors");
    let said = refusal(&siglip, &of_clip);
    assert!(
        said.contains("24x24, and the model is for images of 32x32"),
        "{said}"
    );
    let said = refusal(&siglip, &siglip.join("model.safetensors"));
    assert!(
        said.contains("neither pixel_values nor input_ids"),
        "{said}"
    );
    let said = refusal(tmp.path(), &of_clip);
    assert!(said.contains("model.safetensors"), "{said}");
}

/// LiT with both towers of a checkpoint: trained, converted, and its locked tower unchanged.
#[test]
fn a_run_starts_from_a_checkpoint_and_becomes_one_again() {
    let tmp = tempfile::tempdir().unwrap();
    let siglip = fixture("hf_siglip_tiny");
    let file = tmp.path().join("lit.toml");
    let text = format!(
        r#"
        [base]
        model.image = {{ size = "file", init = {{ file = "{path}" }} }}
        model.text = {{ size = "file", init = {{ file = "{path}" }} }}
        model.embed_dim = 48
        loss.log_t.init = "file"
        loss.bias.init = "file"
        optim.image.lr_mult = 0
        train.examples = 64
        train.batch_size = 16
        train.save_seconds = 0
        eval.every = 0
        eval.images = 60
        "#,
        path = siglip.display()
    );
    std::fs::write(&file, text).unwrap();
    let runs = tmp.path().join("runs");
    done(siglab(&[&"--workspace", &runs, &"run", &file]));
    let mut found = std::fs::read_dir(&runs).unwrap().map(|e| e.unwrap().path());
    let run = found.find(|path| path.join("spec.json").exists()).unwrap();
    let out = tmp.path().join("out");
    done(siglab(&[&"convert", &run, &out]));
    let (before, after) = (
        floats(&siglip.join("model.safetensors")),
        floats(&out.join("model.safetensors")),
    );
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (name, values) in &before {
        let same = values == &after[name];
        assert_eq!(same, name.starts_with("vision_model"), "{name}");
    }
    // The run's model and the converted one see the same in the same files.
    let texts = tmp.path().join("texts.txt");
    std::fs::write(&texts, "a red circle\na photo of a blue square\n").unwrap();
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/csv");
    let embed = |model: &Path, texts: bool| {
        let output = tmp.path().join("embedded.safetensors");
        let file = tmp.path().join("texts.txt");
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![
            &"embed",
            &"--model",
            &model,
            &"--images",
            &pictures,
            &"--output",
            &output,
        ];
        if texts {
            arguments.extend::<[&dyn AsRef<std::ffi::OsStr>; 2]>([&"--texts", &file]);
        }
        done(siglab(&arguments));
        floats(&output)
    };
    let (of_run, of_out) = (embed(&run, true), embed(&out, false));
    assert_eq!(
        of_run["logits_per_image"].len(),
        of_run["image_embeds"].len() / 48 * 2
    );
    assert_eq!(of_run["text_embeds"].len(), 2 * 48);
    let off = of_run["image_embeds"].iter().zip(&of_out["image_embeds"]);
    assert!(off.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
    let no_tokenizer = siglab(&[
        &"embed",
        &"--model",
        &out,
        &"--texts",
        &texts,
        &"--output",
        &tmp.path().join("x"),
    ]);
    assert!(String::from_utf8_lossy(&no_tokenizer.stderr).contains("there is no tokenizer.json"));
}

/// Vectors on both sides, of anything: trained, embedded, and no model of transformers.
#[test]
fn towers_read_vectors_that_were_made_elsewhere() {
    let tmp = tempfile::tempdir().unwrap();
    let lines = |scale: f32| -> String {
        let rows = (0..96).map(|row| format!("{},{},{}\n", row, scale * row as f32, row % 7));
        format!("a,b,c\n{}", rows.collect::<String>())
    };
    for (name, scale) in [("left", 0.5), ("right", -0.25)] {
        let values: Vec<f32> = lines(scale)
            .lines()
            .skip(1)
            .flat_map(|line| {
                line.split(',')
                    .map(|x| x.parse::<f32>().unwrap() / 96.0)
                    .collect::<Vec<_>>()
            })
            .collect();
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![96, 3], &bytes)
                .unwrap();
        let vectors = if name == "left" {
            "image_vectors"
        } else {
            "text_vectors"
        };
        let file = safetensors::serialize([(vectors, view)], None).unwrap();
        std::fs::write(tmp.path().join(format!("{name}.safetensors")), file).unwrap();
    }
    let file = tmp.path().join("vectors.toml");
    let text = format!(
        r#"
        [base]
        data = {{ kind = "features", path = "{}", image = "left.safetensors:image_vectors", caption = "right.safetensors:text_vectors" }}
        model.image = {{ tower = "features", width = 8, depth = 2 }}
        model.text = {{ tower = "features", depth = 0 }}
        model.embed_dim = 6
        train.examples = 96
        train.batch_size = 32
        eval.every = 0
        "#,
        tmp.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let runs = tmp.path().join("runs");
    done(siglab(&[&"--workspace", &runs, &"run", &file]));
    let mut found = std::fs::read_dir(&runs).unwrap().map(|e| e.unwrap().path());
    let run = found.find(|path| path.join("spec.json").exists()).unwrap();
    let output = tmp.path().join("out.safetensors");
    let left = tmp.path().join("left.safetensors");
    done(siglab(&[
        &"embed",
        &"--model",
        &run,
        &"--inputs",
        &left,
        &"--output",
        &output,
    ]));
    assert_eq!(floats(&output)["image_embeds"].len(), 96 * 6);
    let refused = siglab(&[&"convert", &run, &tmp.path().join("hf")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("model.image.tower") && said.contains("SiglipModel would need"),
        "{said}"
    );
    assert!(!tmp.path().join("hf").exists());
}
