//! Comparing printed replies, with wildcards and with order left open.
//!
//! ```text
//! (integer) <int 1..5>      an integer from 1 to 5, both included
//! "redis_version:<any>"     any text, within the line
//! ...                       on a line of its own: any number of further lines
//! ```
//!
//! `<int>` takes any integer. All else is compared letter by letter, but for blanks at the end of a line.

/// Compares a printed reply with the lines that were expected.
///
/// With `unordered`, elements may come in any order at every depth: lines match when their value, its column and the mark
/// of its index (`)`, `#`, `~`) do.
///
/// # Errors
/// Where they part, in words.
pub fn compare(expected: &[String], printed: &str, unordered: bool) -> Result<(), String> {
    let got: Vec<&str> = printed.split('\n').collect();
    let outcome = if unordered { compare_unordered(expected, &got) } else { compare_ordered(expected, &got) };
    outcome.map_err(|difference| format!("{difference}\n expected:\n{}\n got:\n{}", shown(expected), shown(&got)))
}

fn shown(lines: &[impl AsRef<str>]) -> String {
    lines.iter().map(|line| format!("   {}", line.as_ref())).collect::<Vec<_>>().join("\n")
}

fn compare_ordered(expected: &[String], got: &[&str]) -> Result<(), String> {
    let rest_is_open = expected.last().is_some_and(|line| line.trim() == "...");
    let fixed = if rest_is_open { &expected[..expected.len() - 1] } else { expected };
    for (place, pattern) in fixed.iter().enumerate() {
        match got.get(place) {
            None => return Err(format!("the reply ends before line {}", place + 1)),
            Some(line) if !line_matches(pattern, line) => {
                return Err(format!("line {} differs", place + 1));
            }
            Some(_) => {}
        }
    }
    if !rest_is_open && got.len() > fixed.len() {
        return Err(format!("the reply goes on after line {}", fixed.len()));
    }
    Ok(())
}

fn compare_unordered(expected: &[String], got: &[&str]) -> Result<(), String> {
    if expected.len() != got.len() {
        return Err(format!("{} lines instead of {}", got.len(), expected.len()));
    }
    let mut left: Vec<(usize, char, &str)> = got.iter().map(|line| without_index(line)).collect();
    // Literal lines choose first, so that a wildcard does not take what only they can match.
    let (wild, literal): (Vec<_>, Vec<_>) = expected.iter().partition(|line| line.contains('<'));
    for pattern in literal.into_iter().chain(wild) {
        let (column, mark, value) = without_index(pattern);
        let Some(found) =
            left.iter().position(|(at, with, line)| *at == column && *with == mark && line_matches(value, line))
        else {
            return Err(format!("nothing matches {}", pattern.trim()));
        };
        left.swap_remove(found);
    }
    Ok(())
}

/// The column at which a line's value begins, the mark of the innermost index before it, and the value.
fn without_index(line: &str) -> (usize, char, &str) {
    let (mut column, mut mark) = (0, ' ');
    loop {
        let rest = &line[column..];
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let digits = rest[blanks..].bytes().take_while(u8::is_ascii_digit).count();
        let after = &rest[blanks + digits..];
        let Some(next) = after.chars().next().filter(|next| digits > 0 && ")#~".contains(*next)) else {
            return (column + blanks, mark, &rest[blanks..]);
        };
        if !after[1..].starts_with(' ') {
            return (column + blanks, mark, &rest[blanks..]);
        }
        mark = next;
        column += blanks + digits + 2;
    }
}

/// Whether one line matches one pattern.
#[must_use]
pub fn line_matches(pattern: &str, line: &str) -> bool {
    matches_here(pattern.trim_end(), line.trim_end())
}

fn matches_here(pattern: &str, line: &str) -> bool {
    let Some((before, wildcard, after)) = first_wildcard(pattern) else {
        return pattern == line;
    };
    let Some(rest) = line.strip_prefix(before) else {
        return false;
    };
    match wildcard {
        Wildcard::Any => {
            let mut ends = rest.char_indices().map(|(end, _)| end).chain([rest.len()]);
            ends.any(|end| matches_here(after, &rest[end..]))
        }
        Wildcard::Integer { least, most } => {
            let sign = usize::from(rest.starts_with('-'));
            let len = sign + rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
            let in_range = rest[..len].parse::<i64>().is_ok_and(|number| (least..=most).contains(&number));
            in_range && matches_here(after, &rest[len..])
        }
    }
}

enum Wildcard {
    Any,
    Integer { least: i64, most: i64 },
}

fn first_wildcard(pattern: &str) -> Option<(&str, Wildcard, &str)> {
    for (start, _) in pattern.match_indices('<') {
        let Some(len) = pattern[start..].find('>') else {
            continue;
        };
        let wildcard = match &pattern[start + 1..start + len] {
            "any" => Wildcard::Any,
            "int" => Wildcard::Integer { least: i64::MIN, most: i64::MAX },
            other => {
                let bounds = other.strip_prefix("int ").and_then(|range| range.split_once(".."));
                let Some((Ok(least), Ok(most))) = bounds.map(|(least, most)| (least.parse(), most.parse())) else {
                    continue;
                };
                Wildcard::Integer { least, most }
            }
        };
        return Some((&pattern[..start], wildcard, &pattern[start + len + 1..]));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split('\n').map(str::to_string).collect()
    }

    #[test]
    fn a_line_without_wildcards_matches_only_itself() {
        assert!(line_matches("(integer) 1", "(integer) 1"));
        assert!(!line_matches("(integer) 1", "(integer) 11"));
        assert!(!line_matches("(integer) 11", "(integer) 1"));
        assert!(line_matches("XINFO <subcommand> <x>", "XINFO <subcommand> <x>"));
    }

    #[test]
    fn an_integer_wildcard_holds_its_bounds() {
        assert!(line_matches("(integer) <int>", "(integer) -9223372036854775808"));
        assert!(line_matches("(integer) <int 1..5>", "(integer) 5"));
        assert!(!line_matches("(integer) <int 1..5>", "(integer) 6"));
        assert!(!line_matches("(integer) <int 1..5>", "(integer) 0"));
        assert!(!line_matches("(integer) <int>", "(integer) "));
        assert!(line_matches("(integer) <int -2..-1>", "(integer) -2"));
    }

    #[test]
    fn any_takes_what_lies_between_its_neighbours() {
        assert!(line_matches("\"a<any>z\"", "\"az\""));
        assert!(line_matches("\"a<any>z\"", "\"a and z\""));
        assert!(!line_matches("\"a<any>z\"", "\"a and\""));
        assert!(line_matches("<any>=<int>;<any>", "fd=12;x"));
    }

    #[test]
    fn three_dots_leave_the_rest_open_and_only_the_rest() {
        assert!(compare(&lines("a\n..."), "a\nb\nc", false).is_ok());
        assert!(compare(&lines("a\n..."), "a", false).is_ok());
        assert!(compare(&lines("b\n..."), "a\nb", false).is_err());
    }

    #[test]
    fn a_reply_that_is_longer_or_shorter_does_not_match() {
        assert!(compare(&lines("1) \"a\""), "1) \"a\"\n2) \"b\"", false).is_err());
        assert!(compare(&lines("1) \"a\"\n2) \"b\""), "1) \"a\"", false).is_err());
    }

    #[test]
    fn unordered_compares_elements_and_not_their_places() {
        let expected = lines("1) \"0\"\n2) 1) \"a\"\n   2) \"b\"");
        assert!(compare(&expected, "1) \"0\"\n2) 1) \"b\"\n   2) \"a\"", true).is_ok());
        assert!(compare(&expected, "1) \"0\"\n2) 1) \"b\"\n   2) \"b\"", true).is_err());
        assert!(compare(&expected, "1) \"a\"\n2) 1) \"0\"\n   2) \"b\"", true).is_err(), "depths are not mixed");
        assert!(compare(&expected, "1) \"0\"\n2) 1) \"b\"\n   2) \"a\"", false).is_err());
    }

    #[test]
    fn unordered_lets_literal_lines_choose_before_wildcards() {
        assert!(compare(&lines("1) \"<any>\"\n2) \"b\""), "1) \"b\"\n2) \"x\"", true).is_ok());
    }
}
