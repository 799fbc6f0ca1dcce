//! Lists of files as shells and webdataset write them: `{000000..000012}` counts, `{a,b}` chooses, and `::` puts lists
//! one after another.

/// Paths of a list, at most: a million shards of ten thousand samples.
const MOST: usize = 1_000_000;

/// All paths that `list` stands for, in order.
///
/// # Errors
/// Braces that do not close or count no way up, or that stand for more than a million paths.
pub fn expand(list: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for pattern in list.split("::") {
        paths.extend(expand_one(pattern, MOST - paths.len())?);
    }
    Ok(paths)
}

fn expand_one(pattern: &str, most: usize) -> Result<Vec<String>, String> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (inside, after) = rest
        .split_once('}')
        .ok_or_else(|| format!("a brace of \"{pattern}\" does not close"))?;
    let too_many = || format!("\"{pattern}\" stands for more than {MOST} paths");
    let choices = match inside.split_once("..") {
        Some((first, last)) => count(first, last, most).ok_or_else(|| {
            format!(
                "\"{{{inside}}}\" counts no way up that is short of {MOST}: write {{0000..0012}}"
            )
        })?,
        None => inside.split(',').map(str::to_owned).collect(),
    };
    let rests = expand_one(after, most)?;
    if choices.len().saturating_mul(rests.len()) > most {
        return Err(too_many());
    }
    let path = |choice: &str, rest: &String| format!("{before}{choice}{rest}");
    let paths = choices
        .iter()
        .flat_map(|choice| rests.iter().map(move |rest| path(choice, rest)));
    Ok(paths.collect())
}

/// The numbers from `first` to `last`, as wide as `first` is.
fn count(first: &str, last: &str, most: usize) -> Option<Vec<String>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (width, from, to) = (first.len(), number(first)?, number(last)?);
    let fits = from <= to && to - from < most as u64;
    fits.then(|| (from..=to).map(|n| format!("{n:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_count_and_choose() {
        let all = |list: &str| expand(list).unwrap();
        assert_eq!(all("a.tar"), ["a.tar"]);
        assert_eq!(
            all("s-{098..101}.tar"),
            ["s-098.tar", "s-099.tar", "s-100.tar", "s-101.tar"]
        );
        assert_eq!(
            all("{x,y}/{0..1}.tar::z.tar"),
            ["x/0.tar", "x/1.tar", "y/0.tar", "y/1.tar", "z.tar"]
        );
    }

    #[test]
    fn a_list_that_stands_for_nothing_sensible_says_so() {
        for (list, word) in [
            ("a{0..", "close"),
            ("a{9..0}.tar", "counts"),
            ("a{x..y}.tar", "counts"),
            ("a{0..99999999999}.tar", "counts"),
            ("a{0..9999}{0..9999}.tar", "more than"),
        ] {
            let error = expand(list).unwrap_err();
            assert!(error.contains(word), "{list}: {error}");
        }
    }
}
