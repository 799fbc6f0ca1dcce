//! Image-text retrieval as CLIP does it: of all texts, is one of the image's own among the k whose embeddings have the
//! greatest cosine with its own (image to text), and of all images, is the text's own among the k (text to image)? An image
//! may have several texts; one among the k is enough. With texts in several languages, each language is a retrieval of its
//! own: its texts, and the images that have one.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::proportion::Proportion;
use super::zeroshot::embed_texts;
use crate::train::data::text::Tokenizer;
use crate::train::data::{Caption, DataError, Language};
use crate::train::device::host;
use crate::train::model::Model;

/// The k of recall at k.
pub const AMONG: [usize; 3] = [1, 5, 10];

/// How many queries found what they asked for among the first k, for each k of [`AMONG`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recalls(pub [Proportion; AMONG.len()]);

/// Both ways between the same images and texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retrieval {
    pub image_to_text: Recalls,
    pub text_to_image: Recalls,
}

/// Texts with what they belong to.
#[derive(Clone, Debug)]
pub struct Texts {
    /// Unit rows `[texts, embed_dim]`.
    pub embeddings: Tensor<2>,
    /// The image of each.
    pub images: Vec<u32>,
    /// The language of each; all are empty where none is known.
    pub languages: Vec<String>,
}

impl Texts {
    /// One for each image, in their order.
    pub fn one_each(embeddings: Tensor<2>) -> Self {
        let count = embeddings.dims()[0];
        Self {
            embeddings,
            images: (0..count as u32).collect(),
            languages: vec![String::new(); count],
        }
    }
}

/// Captions of one image after another, as token ids.
#[derive(Clone, Debug, Default)]
pub struct Captions {
    /// Images so far.
    count: u32,
    tokens: Vec<Vec<i32>>,
    images: Vec<u32>,
    languages: Vec<String>,
}

impl Captions {
    /// Add those of the next image. A caption of several lines is as many captions, as CLIP_benchmark keeps them.
    ///
    /// # Errors
    /// Texts that the tokenizer gives up on.
    pub fn next_image(
        &mut self,
        captions: &[Caption],
        tokenizer: &Tokenizer,
    ) -> Result<(), DataError> {
        for Caption { text, language } in captions {
            // A tag that is none still tells its texts from others.
            let tag = language.as_deref().unwrap_or_default();
            let canonical = Language::new(tag).map(String::from);
            let language = canonical.unwrap_or_else(|_| tag.to_owned());
            let lines = text.lines().map(str::trim);
            for line in lines.filter(|line| !line.is_empty()) {
                self.tokens.push(tokenizer.tokens(line)?);
                self.images.push(self.count);
                self.languages.push(language.clone());
            }
        }
        self.count += 1;
        Ok(())
    }

    /// What the text tower makes of them.
    pub fn embed(self, model: &Model, device: &Device) -> Texts {
        let tokens: Vec<&[i32]> = self.tokens.iter().map(Vec::as_slice).collect();
        Texts {
            embeddings: embed_texts(model, &tokens, device),
            images: self.images,
            languages: self.languages,
        }
    }
}

/// By language, one entry where there is no more than one. `images` are unit rows `[images, embed_dim]`.
pub fn retrieve(images: &Tensor<2>, texts: &Texts) -> BTreeMap<String, Retrieval> {
    let languages: BTreeSet<&String> = texts.languages.iter().collect();
    let each = languages.into_iter().map(|language| {
        let spoken = (0..texts.images.len()).filter(|&at| texts.languages[at] == *language);
        let spoken: Vec<usize> = spoken.collect();
        let of_texts: Vec<u32> = spoken.iter().map(|&at| texts.images[at]).collect();
        let described: BTreeSet<u32> = of_texts.iter().copied().collect();
        let described: Vec<u32> = described.into_iter().collect();
        let images = rows(images, described.iter().map(|&at| at as usize));
        let texts = rows(&texts.embeddings, spoken.into_iter());
        let found = Retrieval {
            image_to_text: recalls((&images, &described), (&texts, &of_texts)),
            text_to_image: recalls((&texts, &of_texts), (&images, &described)),
        };
        (language.clone(), found)
    });
    each.collect()
}

fn rows(of: &Tensor<2>, places: impl Iterator<Item = usize>) -> Tensor<2> {
    let places: Vec<i32> = places.map(|at| at as i32).collect();
    if places.iter().copied().eq(0..of.dims()[0] as i32) {
        return of.clone();
    }
    let count = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &of.device());
    of.clone().select(0, places)
}

/// Cosines that exist at one time.
const MOST_COSINES: usize = 1 << 23;

/// Queries and what they look among: unit rows, and the image that each is or belongs to. Ties count against what was asked
/// for, and so does a cosine that is no number.
fn recalls(
    (queries, asked): (&Tensor<2>, &[u32]),
    (among, offered): (&Tensor<2>, &[u32]),
) -> Recalls {
    let mut recalls = Recalls::default();
    let columns = among.clone().transpose();
    let most = (MOST_COSINES / offered.len().max(1)).max(1);
    for (chunk, asked) in asked.chunks(most).enumerate() {
        let queries = queries.clone().narrow(0, chunk * most, asked.len());
        let cosines = host(queries.matmul(columns.clone()));
        for (row, own) in cosines.chunks_exact(offered.len()).zip(asked) {
            let pairs = || row.iter().zip(offered);
            let own_ones = pairs().filter(|(_, image)| *image == own);
            let best = own_ones.fold(f32::NEG_INFINITY, |best, (cosine, _)| best.max(*cosine));
            let others = pairs().filter(|(_, image)| *image != own);
            let better = others.filter(|(cosine, _)| !beaten(**cosine, best)).count();
            for (recall, k) in recalls.0.iter_mut().zip(AMONG) {
                recall.add(better < k);
            }
        }
    }
    recalls
}

fn beaten(cosine: f32, best: f32) -> bool {
    cosine < best
}

/// `PREFIX/image_to_text/r1`, `…/r5`, `…/r10` and `PREFIX/text_to_image/…`, fractions in [0, 1] of `…/n` queries. With
/// several languages they are the mean over these, and each language's own has its code behind: `…/r1/de`, of `…/n/de`.
pub fn metrics(prefix: &str, found: &BTreeMap<String, Retrieval>) -> BTreeMap<String, f64> {
    type Way = fn(&Retrieval) -> &Recalls;
    let ways: [(&str, Way); 2] = [
        ("image_to_text", |found| &found.image_to_text),
        ("text_to_image", |found| &found.text_to_image),
    ];
    let mut metrics = BTreeMap::new();
    for (name, way) in ways {
        for (place, k) in AMONG.into_iter().enumerate() {
            let name = format!("{prefix}/{name}/r{k}");
            let shares = found
                .iter()
                .filter_map(|(language, found)| Some((language, way(found).0[place].share()?)));
            let shares: Vec<_> = shares.collect();
            if shares.is_empty() {
                continue;
            }
            let mean = shares.iter().map(|(_, share)| share).sum::<f64>() / shares.len() as f64;
            metrics.insert(name.clone(), mean);
            if shares.len() > 1 {
                let each = shares.into_iter();
                metrics.extend(each.map(|(language, share)| (format!("{name}/{language}"), share)));
            }
        }
        let queries = |found: &Retrieval| way(found).0[0].trials as f64;
        let name = format!("{prefix}/{name}/n");
        metrics.insert(name.clone(), found.values().map(queries).sum());
        if found.len() > 1 {
            let each = found.iter();
            let each = each.map(|(language, found)| (format!("{name}/{language}"), queries(found)));
            metrics.extend(each);
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::tested;

    fn matrix<const R: usize>(values: [[f32; 2]; R]) -> Tensor<2> {
        let values = values.as_flattened().to_vec();
        Tensor::from_data(TensorData::new(values, [R, 2]), &tested())
    }

    fn texts<const R: usize>(
        values: [[f32; 2]; R],
        images: [u32; R],
        languages: [&str; R],
    ) -> Texts {
        Texts {
            embeddings: matrix(values),
            images: images.to_vec(),
            languages: languages.map(str::to_owned).to_vec(),
        }
    }

    const ACROSS: [f32; 2] = [1.0, 0.0];
    const UP: [f32; 2] = [0.0, 1.0];
    const SLANTED: [f32; 2] = [0.8, 0.6];

    #[test]
    fn one_of_several_texts_is_enough_and_each_text_asks() {
        let images = matrix([ACROSS, UP]);
        // The first image's texts: one that is like it, one that is like the other.
        let texts = texts([SLANTED, UP, UP], [0, 0, 1], [""; 3]);
        let found = retrieve(&images, &texts);
        let Retrieval {
            image_to_text,
            text_to_image,
        } = found[""];
        // The second image's own text is tied with one of the first's.
        assert_eq!(image_to_text.0[0], Proportion { hits: 1, trials: 2 });
        assert_eq!(image_to_text.0[1], Proportion { hits: 2, trials: 2 });
        assert_eq!(text_to_image.0[0], Proportion { hits: 2, trials: 3 });
        let metrics = metrics("retrieval/x", &found);
        assert_eq!(metrics["retrieval/x/image_to_text/r1"], 0.5);
        assert_eq!(metrics["retrieval/x/text_to_image/r10"], 1.0);
        assert_eq!(metrics["retrieval/x/text_to_image/n"], 3.0);
        assert_eq!(metrics.len(), 8);
    }

    #[test]
    fn every_language_is_a_retrieval_of_its_own() {
        let images = matrix([ACROSS, UP]);
        // In German nobody describes the first image, and the second's text is like the first.
        let texts = texts([ACROSS, UP, ACROSS], [0, 1, 1], ["en", "en", "de"]);
        let metrics = metrics("retrieval", &retrieve(&images, &texts));
        for way in ["image_to_text", "text_to_image"] {
            assert_eq!(metrics[&format!("retrieval/{way}/r1/en")], 1.0);
            // Its text is the only one, and it the only image.
            assert_eq!(metrics[&format!("retrieval/{way}/r1/de")], 1.0);
            assert_eq!(metrics[&format!("retrieval/{way}/n")], 3.0);
            let of_each =
                ["en", "de"].map(|language| metrics[&format!("retrieval/{way}/n/{language}")]);
            assert_eq!(of_each, [2.0, 1.0]);
        }
    }

    #[test]
    fn what_is_no_number_finds_nothing() {
        let nan = [f32::NAN; 2];
        let (images, texts) = (matrix([nan; 12]), [nan; 12]);
        let places: [u32; 12] = std::array::from_fn(|i| i as u32);
        let found = retrieve(&images, &self::texts(texts, places, [""; 12]));
        assert_eq!(found[""].image_to_text.0.map(|recall| recall.hits), [0; 3]);
    }

    #[test]
    fn chunks_change_nothing() {
        // More columns than a row of a chunk may have in several rows.
        let count = 4_000;
        let angle = |i: usize, by: f32| {
            let angle = i as f32 * 2.399_963 + by * (i as f32).sin();
            [angle.cos(), angle.sin()]
        };
        let tensor = |by: f32| {
            let values: Vec<f32> = (0..count).flat_map(|i| angle(i, by)).collect();
            Tensor::<2>::from_data(TensorData::new(values, [count, 2]), &tested())
        };
        let (images, captions) = (tensor(0.0), tensor(0.002));
        let own: Vec<u32> = (0..count as u32).collect();
        let whole = recalls((&captions, &own), (&images, &own));
        let mut parts = [0; 3];
        for (query, &own_image) in own.iter().enumerate() {
            let row = captions.clone().narrow(0, query, 1);
            let one = recalls((&row, &[own_image]), (&images, &own));
            for (part, one) in parts.iter_mut().zip(one.0) {
                *part += one.hits;
            }
        }
        // A product of one row may round otherwise than one of many: a tie may fall.
        for (part, whole) in parts.into_iter().zip(whole.0) {
            assert!(whole.hits.abs_diff(part) <= 12, "{part} {whole:?}");
        }
        let first = whole.0[0].hits;
        assert!(first > 400 && first < 4_000, "{first}");
        assert!(MOST_COSINES / count < count, "several chunks");
    }
}
