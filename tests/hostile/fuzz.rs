//! Inputs that nobody meant: good ones with changes, kept when they bring an answer that no other has brought, so that
//! the next change starts from deeper inside. All chance follows from the parser's name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::bounds::{Alone, alone};

/// Of processor time, for one input, whatever it is.
pub const SECOND: Duration = Duration::from_secs(1);
/// A parser that takes so long by the clock does not come back.
const NEVER: Duration = Duration::from_secs(100);
/// Inputs of the quick tier, and the time of the full one.
const FEW: usize = 200;
const MINUTE: Duration = Duration::from_secs(60);
/// Inputs that one collection saves.
const SAVED: usize = 20;
/// The longest input that is made.
const LONGEST: usize = 256 << 10;

/// A parser as a stranger meets it: a file by the name that makes it read.
pub struct Parser {
    /// Its folder below `tests/fixtures/hostile`.
    pub name: &'static str,
    /// Where the input goes, below an empty folder.
    pub file: &'static str,
    /// Files that stand beside it.
    pub beside: Vec<(&'static str, Vec<u8>)>,
    /// Good inputs.
    pub seeds: Vec<Vec<u8>>,
    /// Processor time that an input may take.
    pub cpu: Duration,
    /// Bytes that an input of so many may take.
    pub room: fn(usize) -> usize,
    /// Read the file in the folder to the end, as the programme does; the error in words.
    pub take: fn(&Path, &Path) -> Result<String, String>,
}

/// Twice the file and 16 MiB.
pub fn twice(bytes: usize) -> usize {
    2 * bytes + (16 << 20)
}

/// Ten times the file and 64 MiB: for what is parsed into a tree, or trained with.
pub fn tenfold(bytes: usize) -> usize {
    10 * bytes + (64 << 20)
}

impl Parser {
    pub fn try_few(&self) {
        self.try_so_many(FEW);
    }

    pub fn try_so_many(&self, inputs: usize) {
        let alone = alone();
        let mut session = Session::new(self, &alone);
        session.replay();
        for _ in 0..inputs {
            session.go_on();
        }
        session.report();
    }

    pub fn try_for_a_minute(&self) {
        let alone = alone();
        let mut session = Session::new(self, &alone);
        session.replay();
        let began = Instant::now();
        while began.elapsed() < MINUTE {
            session.go_on();
        }
        session.report();
    }

    fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/hostile")
            .join(self.name)
    }
}

struct Session<'p> {
    parser: &'p Parser,
    alone: &'p Alone,
    folder: TempDir,
    chance: Chance,
    pool: Vec<Vec<u8>>,
    answers: BTreeSet<String>,
    tried: usize,
    refused: usize,
    saved: usize,
}

impl<'p> Session<'p> {
    fn new(parser: &'p Parser, alone: &'p Alone) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &parser.beside {
            put(&folder.path().join(name), bytes);
        }
        let seed = parser
            .name
            .bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte));
        Self {
            parser,
            alone,
            folder,
            chance: Chance(seed),
            pool: Vec::new(),
            answers: BTreeSet::new(),
            tried: 0,
            refused: 0,
            saved: 0,
        }
    }

    /// The good inputs, and all that was saved.
    fn replay(&mut self) {
        for seed in &self.parser.seeds {
            let answer = self.try_one(seed);
            assert!(
                answer.is_ok(),
                "{}: a good input: {answer:?}",
                self.parser.name
            );
            self.pool.push(seed.clone());
        }
        let Ok(entries) = fs::read_dir(self.parser.corpus()) else {
            return;
        };
        let mut saved: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        saved.sort();
        for path in saved {
            let bytes = fs::read(path).unwrap();
            let answer = self.try_one(&bytes);
            self.answers.insert(outline(&answer));
            self.pool.push(bytes);
        }
    }

    fn go_on(&mut self) {
        let from = self.chance.below(self.pool.len());
        let mut bytes = self.pool[from].clone();
        for _ in 0..=self.chance.below(4) {
            let other = self.chance.below(self.pool.len());
            change(&mut bytes, &self.pool[other], &mut self.chance);
        }
        bytes.truncate(LONGEST);
        let answer = self.try_one(&bytes);
        if self.answers.insert(outline(&answer)) {
            // A few small ones are worth a place in the repository; who collects says so.
            let wanted = std::env::var_os("SIGLAB_SAVE_INPUTS").is_some() && self.saved < SAVED;
            if wanted && bytes.len() <= 4 << 10 {
                self.save("answer", &bytes);
                self.saved += 1;
            }
            self.pool.push(bytes);
        }
    }

    fn try_one(&mut self, bytes: &[u8]) -> Result<String, String> {
        self.tried += 1;
        let parser = self.parser;
        let path = self.folder.path().join(parser.file);
        put(&path, bytes);
        let watched = Watched::new(self.save_path("hangs", bytes), bytes);
        let (answer, spent) = self
            .alone
            .measure(|| (parser.take)(self.folder.path(), &path));
        drop(watched);
        let room = (parser.room)(bytes.len());
        let fault = match &answer {
            None => "panics".to_owned(),
            Some(_) if spent.cpu > parser.cpu => format!("takes {:?}", spent.cpu),
            Some(_) if spent.bytes > room => {
                format!("takes {} bytes, {room} are allowed", spent.bytes)
            }
            Some(answer) => {
                self.refused += usize::from(answer.is_err());
                return answer.clone();
            }
        };
        let saved = self.save("trips", bytes);
        panic!("{}: {fault}; the input is {}", parser.name, saved.display());
    }

    fn save(&self, why: &str, bytes: &[u8]) -> PathBuf {
        let path = self.save_path(why, bytes);
        put(&path, bytes);
        path
    }

    fn save_path(&self, why: &str, bytes: &[u8]) -> PathBuf {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let name = format!("{why}-{hash:016x}");
        self.parser.corpus().join(name)
    }

    fn report(&self) {
        let Self {
            tried,
            refused,
            answers,
            ..
        } = self;
        println!(
            "{}: {tried} inputs, {refused} refused, {} sorts of answer",
            self.parser.name,
            answers.len()
        );
        assert!(*refused > 0, "{}: nothing is refused", self.parser.name);
    }
}

/// An input that a parser is at. One that it never comes back from ends the process, once it is saved.
struct Watched;

type At = Option<(Instant, PathBuf, Vec<u8>)>;
static AT: Mutex<At> = Mutex::new(None);

impl Watched {
    fn new(path: PathBuf, bytes: &[u8]) -> Self {
        static WATCHMAN: Once = Once::new();
        WATCHMAN.call_once(|| drop(thread::spawn(watch)));
        *at() = Some((Instant::now(), path, bytes.to_vec()));
        Self
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *at() = None;
    }
}

fn at() -> MutexGuard<'static, At> {
    AT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        if let Some((began, path, bytes)) = at().as_ref()
            && began.elapsed() > NEVER
        {
            put(path, bytes);
            eprintln!("no end after {NEVER:?}; the input is {}", path.display());
            std::process::abort();
        }
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An answer without what changes with every input: numbers, and what is quoted.
fn outline(answer: &Result<String, String>) -> String {
    let (Ok(text) | Err(text)) = answer;
    let mut quoted = false;
    let kept = text.chars().filter(|c| {
        quoted ^= matches!(c, '`' | '"');
        !quoted && !c.is_ascii_digit()
    });
    kept.take(120).collect::<String>() + if answer.is_ok() { "" } else { "!" }
}

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// A place in `length`, as often as not near its start or its end, where formats keep what they mean.
    fn place(&mut self, length: usize) -> usize {
        let near = length.min(600);
        match self.below(4) {
            0 => self.below(near),
            1 => length - 1 - self.below(near),
            _ => self.below(length),
        }
    }
}

/// What is most often misread.
const WORDS: [&str; 24] = [
    "",
    "0",
    "-1",
    "1e999",
    "NaN",
    "18446744073709551616",
    "9223372036854775807",
    "4294967295",
    "99999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "[[[[[[[[",
    "{{{{{{{{",
    "\"",
    "\\u0000",
    "\u{1b}[31m",
    "\u{202e}",
    "\0",
    "\n",
    ",",
    "..",
    "../../x",
];

fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if bytes.is_empty() {
        bytes.extend(&other[..other.len().min(64)]);
        return;
    }
    let at = chance.place(bytes.len());
    let length = (1 + chance.below(16)).min(bytes.len() - at);
    match chance.below(10) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at] = chance.next() as u8,
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let copy = bytes[at..at + length].to_vec();
            let times = 1 + chance.below(64);
            bytes.splice(at..at, copy.repeat(times));
        }
        4 => bytes.truncate(at),
        5 => {
            let from = chance.below(other.len());
            let part = &other[from..(from + 1 + chance.below(200)).min(other.len())];
            bytes.splice(at..at, part.iter().copied());
        }
        6 => {
            let extremes = [
                0,
                1,
                0x7f,
                0x80,
                0xff,
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                i64::MAX as u64,
                1 << 63,
                u64::MAX,
            ];
            let number = extremes[chance.below(extremes.len())].to_le_bytes();
            let width = (1 << chance.below(4)).min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        // A word in place of a number that is written out.
        7 => {
            let digit = |byte: &u8| byte.is_ascii_digit();
            if let Some(start) = bytes[at..].iter().position(digit).map(|n| at + n) {
                let end = bytes[start..]
                    .iter()
                    .position(|b| !digit(b))
                    .map_or(bytes.len(), |n| start + n);
                let word = WORDS[chance.below(WORDS.len())];
                bytes.splice(start..end, word.bytes());
            }
        }
        8 => {
            let word = WORDS[chance.below(WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        _ => {
            let to = chance.below(bytes.len());
            bytes.swap(at, to);
        }
    }
}
