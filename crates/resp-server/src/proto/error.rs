//! The exact wire text of every error that a command can answer with.
//!
//! The first word is part of the interface: clients match on it.

use std::borrow::Cow;

/// An error reply of a command. [`text`](CommandError::text) is what goes on the wire behind the `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The command's options do not parse.
    Syntax,
    /// A value is not an integer, or too large for 64 bits.
    NotAnInteger,
    /// A value is not a float.
    NotAFloat,
    /// The key holds a value of another type.
    WrongType,
    /// The key is not there and the command needs it.
    NoSuchKey,
    /// A write is refused because of `maxmemory`.
    OutOfMemory,
    /// The wrong number of arguments for the named command (`get`, `client|setname`).
    Arity(&'static str),
    /// Any other text, given in full, the first word included.
    Text(Cow<'static, str>),
    /// Any other text that may hold bytes of the client's, given in full.
    Bytes(Vec<u8>),
}

impl CommandError {
    /// An error whose text is fixed, the first word included.
    pub const fn text_static(text: &'static str) -> CommandError {
        CommandError::Text(Cow::Borrowed(text))
    }

    /// An error that shows a word of the client's between two texts. As in Redis, where it is a C string, the word ends at
    /// its first NUL byte.
    pub fn quoting(before: &str, word: &[u8], after: &str) -> CommandError {
        CommandError::Bytes([before.as_bytes(), until_nul(word), after.as_bytes()].concat())
    }

    /// What a container answers whose subcommand `name` does not take so many arguments, where the number is not the row's to check.
    pub fn wrong_subcommand(container: &str, name: &[u8]) -> CommandError {
        let after = format!("'. Try {container} HELP.");
        CommandError::quoting("ERR unknown subcommand or wrong number of arguments for '", name, &after)
    }

    /// What goes on the wire, without the leading `-` and the line's end.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let text: &str = match self {
            CommandError::Syntax => "ERR syntax error",
            CommandError::NotAnInteger => "ERR value is not an integer or out of range",
            CommandError::NotAFloat => "ERR value is not a valid float",
            CommandError::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            CommandError::NoSuchKey => "ERR no such key",
            CommandError::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            CommandError::Arity(name) => {
                return Cow::Owned(format!("ERR wrong number of arguments for '{name}' command").into_bytes());
            }
            CommandError::Text(text) => text,
            CommandError::Bytes(bytes) => return Cow::Borrowed(bytes),
        };
        Cow::Borrowed(text.as_bytes())
    }
}

/// What Redis shows of a client's bytes in an error: those before the first NUL byte, if there is one.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
