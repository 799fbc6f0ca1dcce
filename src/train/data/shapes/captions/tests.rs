//! Every language says as much as English, in words that its vocabulary has, and says it like this.

use std::collections::BTreeSet;

use super::*;
use crate::train::data::shapes::dice::Stream;
use crate::train::data::text::words::{UNKNOWN, Vocabulary};

fn captions(tongue: Tongue, count: u64) -> impl Iterator<Item = (Scene, String)> {
    let seen: Vec<ClassId> = ClassId::all().collect();
    (0..count).map(move |index| {
        let mut dice = Dice::new(0, 1, Stream::Train, index);
        let class = *dice.pick(&seen);
        let scene = Scene::draw(&mut dice, class, &seen, 0.05, 2);
        let caption = tongue.caption(&scene, &mut dice);
        (scene, caption)
    })
}

fn vocabulary(tongue: Tongue) -> Vocabulary {
    let words = tongue.words();
    Vocabulary::new(words.iter().map(String::as_str))
}

#[test]
fn no_caption_or_prompt_has_a_word_outside_the_vocabulary() {
    for tongue in Tongue::ALL {
        let vocabulary = vocabulary(tongue);
        let mut used = BTreeSet::new();
        let prompts = ClassId::all().flat_map(|class| tongue.prompts(class));
        for text in captions(tongue, 40_000)
            .map(|(_, text)| text)
            .chain(prompts)
        {
            let ids: Vec<i32> = vocabulary.ids(&text).collect();
            assert!(!ids.contains(&UNKNOWN), "{tongue:?}: {text}");
            used.extend(ids);
        }
        // Tables of forms hold more than the templates ask for in German: the bare and the masculine of any case.
        let unused = vocabulary.plain().len() - used.len();
        let spare = if tongue == Tongue::German { 70 } else { 20 };
        assert!(unused <= spare, "{tongue:?}: {unused} words are never said");
    }
}

#[test]
fn classes_are_told_apart_and_named_in_their_prompts() {
    for tongue in Tongue::ALL {
        let mut known = BTreeSet::new();
        for class in ClassId::all() {
            assert!(known.insert(tongue.name(class)), "{tongue:?}");
            let prompts = tongue.prompts(class);
            assert_eq!(prompts.len(), 4, "{tongue:?}");
            assert!(
                prompts
                    .iter()
                    .all(|prompt| known.insert(prompt.clone()) || *prompt == tongue.name(class))
            );
        }
    }
}

#[test]
fn every_language_says_as_much() {
    // The mean length of captions, as a share of the longest one's, is nearly the same wherever there are remarks.
    let share = |tongue| {
        let lengths: Vec<f64> = captions(tongue, 4_000)
            .map(|(_, text)| text.chars().count() as f64)
            .collect();
        lengths.iter().sum::<f64>()
            / lengths.len() as f64
            / lengths.iter().fold(0.0, |a: f64, b| a.max(*b))
    };
    let english = share(Tongue::English);
    for tongue in Tongue::ALL {
        assert!(
            (share(tongue) / english - 1.0).abs() < 0.2,
            "{tongue:?}: {}, {english}",
            share(tongue)
        );
    }
}

#[test]
fn tags_are_canonical_and_find_their_language() {
    for tongue in Tongue::ALL {
        let language = Language::new(tongue.tag()).unwrap();
        assert_eq!(language.as_str(), tongue.tag());
        assert_eq!(Tongue::of(&language), Some(tongue));
    }
    assert_eq!(
        Tongue::of(&Language::new("iw").unwrap()),
        Some(Tongue::Hebrew)
    );
    assert_eq!(Tongue::of(&Language::new("xx").unwrap()), None);
}

fn read_like_this(tongue: Tongue) -> String {
    let captions: Vec<String> = captions(tongue, 16).map(|(_, caption)| caption).collect();
    let prompts = ClassId(53);
    [captions, tongue.prompts(prompts)].concat().join("\n")
}

#[test]
fn german_reads_like_this() {
    insta::assert_snapshot!(read_like_this(Tongue::German), @"
    ein Bild von einer rosafarbenen Raute
    ein Bild von einem violetten Quadrat vor weinrotem Hintergrund
    zyanblauer Halbmond
    eine gelbe Raute vor petrolfarbenem Hintergrund
    eine Grafik mit einem orangefarbenen Herzen bei einem limettengrünen Halbmond
    ein grünes Plus auf weinrotem Hintergrund
    hier ist eine karierte blaue Raute
    das Dreieck ist mittelgroß, gestreift und grün, bei einem klitzekleinen braunen Herzen, auf weinrotem Hintergrund
    das Sechseck ist einfarbig und zyanblau, nahe einem gelben Quadrat oben rechts
    ein gelber Pfeil vor marineblauem Hintergrund
    großes limettengrünes Herz auf grauem Hintergrund
    es gibt einen grünen Kreis auf weinrotem Hintergrund
    der Halbmond ist groß und braun
    der Ring ist gestreift und blau
    ein einfarbiges braunes Oval
    ein roter Stern auf schwarzem Hintergrund
    ein limettengrüner Stern
    ein Bild von einem limettengrünen Stern
    eine Grafik mit einem limettengrünen Stern
    hier ist ein limettengrüner Stern
    ");
}

#[test]
fn french_reads_like_this() {
    insta::assert_snapshot!(read_like_this(Tongue::French), @"
    une image d'un losange rose
    une image d'un carré violet sur fond bordeaux
    croissant turquoise
    un losange jaune sur fond bleu canard
    un dessin d'un cœur orange près d'un croissant vert citron
    une croix verte sur fond bordeaux
    voici un losange bleu à carreaux
    il y a un triangle vert rayé de taille moyenne avec un minuscule cœur brun sur fond bordeaux
    l'hexagone est uni et turquoise, non loin d'un carré jaune en haut à droite
    une flèche jaune sur un fond bleu marine
    un dessin d'un grand cœur vert citron sur un fond gris
    il y a un cercle vert sur fond bordeaux
    grand croissant brun
    l'anneau est rayé et bleu
    un ovale brun uni
    une étoile rouge sur fond noir
    une étoile vert citron
    une image d'une étoile vert citron
    un dessin d'une étoile vert citron
    voici une étoile vert citron
    ");
}

#[test]
fn hebrew_reads_like_this() {
    insta::assert_snapshot!(read_like_this(Tongue::Hebrew), @"
    תמונה של מעוין ורוד
    תמונה של ריבוע סגול על רקע בורדו
    סהר אחד בצבע ציאן
    מעוין צהוב על רקע כחול ירקרק
    איור של לב כתום לצד סהר בצבע ליים
    פלוס ירוק על רקע בורדו
    איור של מעוין משובץ כחול
    הנה משולש בינוני מפוספס ירוק בקרבת לב קטנטן חום עם רקע בורדו
    המשושה חלק ובצבע ציאן, בקרבת ריבוע צהוב בפינה הימנית העליונה
    חץ צהוב עם רקע כחול כהה
    איור של לב גדול בצבע ליים עם רקע אפור
    יש כאן עיגול ירוק על רקע בורדו
    סהר אחד גדול חום
    טבעת אחת מפוספסת כחולה
    יש כאן אליפסה חלקה חומה
    כוכב אדום על רקע שחור
    כוכב בצבע ליים
    תמונה של כוכב בצבע ליים
    איור של כוכב בצבע ליים
    הנה כוכב בצבע ליים
    ");
}

#[test]
fn chinese_reads_like_this() {
    insta::assert_snapshot!(read_like_this(Tongue::Chinese), @"
    一张粉色的菱形的图片
    一张紫色的正方形的图片，背景是酒红色的
    青色的月牙形
    一个黄色的菱形，背景是墨绿色的
    一幅橙色的心形的图像，附近有一个黄绿色的月牙形
    一个绿色的加号，背景是酒红色的
    这是一个蓝色的格子菱形
    图中有一个绿色的条纹中号三角形，还有一个棕色的迷你心形，背景是酒红色的
    这个纯色六边形是青色的，右上角有一个黄色的正方形
    一个黄色的箭头，在深蓝色背景上
    一幅青柠色的大心形的图像，在灰色背景上
    图中有一个绿色的圆形，背景是酒红色的
    棕色的大月牙形
    这个条纹圆环是蓝色的
    一个棕色的纯色椭圆形
    一个红色的星形，背景是黑色的
    一个青柠色的星形
    一张青柠色的星形的图片
    一幅青柠色的星形的图像
    这是一个青柠色的星形
    ");
}
