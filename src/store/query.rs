//! A small language to choose runs by: `state=running top1<0.3 loss.kind=sigmoid -seed=0 words`. Terms hold together;
//! `-` turns one round; a word without a sign is looked for in the id, the state and the label. A field is one of the
//! run's own, a setting by its path or the end of it, or a metric by its name or the end of it.

use std::cmp::Ordering;
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Run, RunState};
use crate::spec::path;
use crate::util::printable;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("`{term}` lacks a value; expected FIELD=VALUE, as in state=running")]
    Value { term: String },
    #[error("no run has a setting, a metric or a field `{field}`; fields are {}", FIELDS.join(", "))]
    Field { field: String },
}

/// What every run has beside settings and metrics.
const FIELDS: [&str; 8] = [
    "id", "state", "want", "progress", "examples", "attempt", "priority", "warnings",
];

/// Runs that are wanted; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Word(String),
    Field {
        field: String,
        sign: Sign,
        value: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    Equal,
    Not,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [(&str, Sign); 8] = [
    ("!=", Sign::Not),
    ("<=", Sign::LessEqual),
    (">=", Sign::GreaterEqual),
    ("=", Sign::Equal),
    (":", Sign::Equal),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("~", Sign::Contains),
];

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let terms = text.split_whitespace().map(Term::parse);
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, QueryError> {
        let (negated, rest) = match text.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, text),
        };
        let at = rest.find(['=', '!', '<', '>', '~', ':']);
        let found = at.and_then(|at| {
            let after = &rest[at..];
            let (sign, kind) = SIGNS.iter().find(|(sign, _)| after.starts_with(sign))?;
            Some((&rest[..at], *kind, &after[sign.len()..]))
        });
        let test = match found {
            Some((field, sign, value)) if !field.is_empty() => {
                if value.is_empty() {
                    return Err(QueryError::Value {
                        term: printable(text),
                    });
                }
                Test::Field {
                    field: field.to_owned(),
                    sign,
                    value: value.to_owned(),
                }
            }
            _ => Test::Word(rest.to_lowercase()),
        };
        Ok(Self { negated, test })
    }
}

impl Query {
    /// Whether every run fits.
    pub fn is_all(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `run`, whose settings read as `label`, is wanted.
    pub fn fits(&self, run: &Run, label: &str) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::Word(word) => [run.id().as_str(), run.state.name(), label]
                    .iter()
                    .any(|text| text.to_lowercase().contains(word)),
                Test::Field { field, sign, value } => {
                    facts(run, field).iter().any(|fact| sign.holds(fact, value))
                }
            };
            holds != term.negated
        })
    }

    /// Refuse a field that none of `runs` has, if there are runs: a misspelt name must not read like no match.
    pub fn require_fields(&self, runs: &[&Run]) -> Result<(), QueryError> {
        for term in &self.terms {
            let Test::Field { field, .. } = &term.test else {
                continue;
            };
            let unknown = runs.iter().all(|run| facts(run, field).is_empty());
            if unknown && !runs.is_empty() && !FIELDS.contains(&field.as_str()) {
                return Err(QueryError::Field {
                    field: printable(field),
                });
            }
        }
        Ok(())
    }
}

impl Sign {
    fn holds(self, fact: &Value, value: &str) -> bool {
        let shown = path::label(fact);
        let same =
            |left: f64, right: f64| (left - right).abs() <= 1e-9 * left.abs().max(right.abs());
        let order = match (fact.as_f64(), value.parse::<f64>()) {
            (Some(left), Ok(right)) if same(left, right) => Some(Ordering::Equal),
            (Some(left), Ok(right)) => left.partial_cmp(&right),
            _ => Some(shown.as_str().cmp(value)),
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Not => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Contains => shown.to_lowercase().contains(&value.to_lowercase()),
        }
    }
}

/// What `field` may mean of `run`: settings whose path ends with it may be several.
fn facts(run: &Run, field: &str) -> Vec<Value> {
    let own = match field {
        "id" => Some(json!(run.id())),
        "state" => Some(json!(run.state.name())),
        "want" => serde_json::to_value(run.want.wish).ok(),
        "progress" => Some(json!(100.0 * run.progress())),
        "examples" => Some(json!(run.examples)),
        "attempt" => Some(json!(run.attempt)),
        "priority" => Some(json!(run.want.priority)),
        "warnings" => Some(json!(run.warnings.len())),
        "why" => match &run.state {
            RunState::Failed { reason } | RunState::Diverged { reason, .. } => Some(json!(reason)),
            _ => None,
        },
        _ => None,
    };
    if let Some(own) = own {
        return vec![own];
    }
    let config = serde_json::to_value(&run.spec.config).unwrap_or_default();
    let settings = path::flatten(&config);
    let ends = |key: &str| {
        key.strip_suffix(field)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
    };
    let generic = |key: &str| key.strip_suffix(".kind").is_some_and(ends);
    let mut found: Vec<Value> = settings
        .iter()
        .filter(|(key, _)| ends(key) || generic(key))
        .map(|(_, value)| value.clone())
        .collect();
    let evaluated = run.evaluations.last().into_iter();
    let evaluated = evaluated.flat_map(|evaluation| evaluation.metrics.keys());
    let metrics = evaluated.map(String::as_str).chain(run.series.names());
    for name in metrics.filter(|name| ends(name)) {
        let value = run.evaluated(name).or_else(|| run.latest(name));
        found.extend(value.map(|value| json!(value)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunDir;
    use crate::spec::RunSpec;
    use crate::store::{Evaluation, Position};
    use crate::train::TrainConfig;

    fn run() -> Run {
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(TrainConfig::default()));
        run.state = RunState::Running;
        let at = Position {
            attempt: 1,
            step: 1,
            examples: 256,
            seconds: 1.0,
        };
        run.series.push(at, [("loss", 2.5), ("grad_norm", 0.5)]);
        run.evaluations.push(Evaluation {
            step: 1,
            examples: 256,
            metrics: [("zeroshot/top1".to_owned(), 0.25)].into(),
            ..Evaluation::default()
        });
        run
    }

    #[test]
    fn terms_name_settings_metrics_and_words() {
        let run = run();
        let fits = |query: &str| {
            query
                .parse::<Query>()
                .unwrap()
                .fits(&run, "loss=sigmoid seed=0")
        };
        for query in [
            "",
            "state=running",
            "state:running top1<0.3",
            "loss.kind=sigmoid lr=0.001",
            "lr=1e-3",
            "optim.lr>=1e-3 zeroshot/top1>0.2",
            "grad_norm<1 loss<3",
            "-state=completed",
            "sigmoid run",
            "data.kind~shap",
            "seed!=1",
        ] {
            assert!(fits(query), "{query}");
        }
        for query in [
            "state=new",
            "-running",
            "top1>0.3",
            "lr<1e-3",
            "softmax",
            "depth=99",
        ] {
            assert!(!fits(query), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        let run = run();
        assert!(matches!(
            "state=".parse::<Query>(),
            Err(QueryError::Value { .. })
        ));
        let query: Query = "lrr=1".parse().unwrap();
        let error = query.require_fields(&[&run]).unwrap_err();
        assert!(error.to_string().contains("`lrr`"), "{error}");
        assert_eq!(query.require_fields(&[]), Ok(()));
    }
}
