//! Configuration text: from files and arguments to settings.

use std::fmt;

use resp_server::engine::Settings;
use resp_server::text::split;

/// A line that is no setting. Shown as Redis shows it, so that people and scripts know it.
#[derive(Debug)]
pub(crate) struct ConfigError {
    /// Counted from 1, through the file and then the arguments.
    line_number: usize,
    line: String,
    reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(f, "\n*** FATAL CONFIG FILE ERROR (evenkeel {version}) ***")?;
        writeln!(f, "Reading the configuration file, at line {}", self.line_number)?;
        writeln!(f, ">>> '{}'", self.line)?;
        write!(f, "{}", self.reason)
    }
}

/// A file's name, if there is one, and the words of the flags behind it.
type Split<'a> = (Option<&'a [u8]>, &'a [Vec<u8>]);

/// The configuration file that the arguments name, if they do, and the settings behind it.
pub(crate) fn split_arguments(words: &[Vec<u8>]) -> Result<Split<'_>, String> {
    let (file, flags) = match words.split_first() {
        Some((first, rest)) if first == b"-" || !first.starts_with(b"-") => (Some(&first[..]), rest),
        _ => (None, words),
    };
    match flags.first() {
        Some(first) if !first.starts_with(b"--") => Err(format!(
            "evenkeel: '{}' is neither a configuration file nor a setting (--name value); see evenkeel --help",
            first.escape_ascii()
        )),
        _ => Ok((file, flags)),
    }
}

/// Appends `--name value ...` arguments to configuration text, a line for each name.
pub(crate) fn append_flags(text: &mut Vec<u8>, flags: &[Vec<u8>]) {
    for word in flags {
        match word.strip_prefix(b"--") {
            Some(name) => {
                if !text.is_empty() && !text.ends_with(b"\n") {
                    text.push(b'\n');
                }
                text.extend_from_slice(name);
            }
            None => {
                text.push(b' ');
                text.extend_from_slice(split::quote(word).as_bytes());
            }
        }
    }
}

/// Reads configuration text; later lines override earlier ones.
pub(crate) fn read(text: &[u8]) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        settings.apply_line(line).map_err(|reason| ConfigError {
            line_number: index + 1,
            line: String::from_utf8_lossy(line).into_owned(),
            reason,
        })?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').filter(|word| !word.is_empty()).map(|word| word.as_bytes().to_vec()).collect()
    }

    /// The configuration text that arguments make of a file's `text`.
    fn text_of(text: &str, arguments: &str) -> String {
        let mut text = text.as_bytes().to_vec();
        append_flags(&mut text, &words(arguments));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_first_argument_is_a_file_unless_it_is_a_flag() {
        let first =
            |line: &str| split_arguments(&words(line)).map(|(file, flags)| (file.map(<[u8]>::to_vec), flags.len()));
        assert_eq!(first(""), Ok((None, 0)));
        assert_eq!(first("my.conf"), Ok((Some(b"my.conf".to_vec()), 0)));
        assert_eq!(first("- --port 1"), Ok((Some(b"-".to_vec()), 2)));
        assert_eq!(first("--port 1"), Ok((None, 2)));
        assert!(first("my.conf other.conf").is_err());
        assert!(first("-p 1").is_err());
    }

    #[test]
    fn flags_are_lines_of_the_file() {
        assert_eq!(text_of("", "--port 1"), "port \"1\"");
        assert_eq!(text_of("port 1", "--port 2 --bind a -b"), "port 1\nport \"2\"\nbind \"a\" \"-b\"");
        assert_eq!(text_of("port 1\n", "--port 2"), "port 1\nport \"2\"");
    }

    #[test]
    fn flags_override_the_file() {
        let settings = read(text_of("port 1\n# a comment\n\nbind 10.0.0.1", "--port 2").as_bytes()).unwrap();
        assert_eq!(settings.port, 2);
        assert_eq!(settings.bind, ["10.0.0.1"]);
    }

    #[test]
    fn an_error_names_the_line() {
        let error = read(b"port 1\n\n  no-such-setting 1 2\n").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[1].starts_with("*** FATAL CONFIG FILE ERROR"));
        assert_eq!(lines[2], "Reading the configuration file, at line 3");
        assert_eq!(lines[3], ">>> 'no-such-setting 1 2'");
    }
}
