//! What some settings are made of: a password, who is admitted, how much is logged.

/// A password; it does not show in debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub Vec<u8>);

impl Password {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `given` is the password. The time depends on the length of `given` only.
    pub fn matches(&self, given: &[u8]) -> bool {
        let mut difference = u8::from(self.0.len() != given.len());
        for (at, byte) in given.iter().enumerate() {
            difference |= byte ^ self.0.get(at).unwrap_or(&0);
        }
        difference == 0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "(hidden)" })
    }
}

/// Who may use a command that is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Nobody.
    Nobody,
    /// Everybody.
    Everybody,
    /// Clients on this machine.
    Local,
}

/// All of them, in the order of their words.
pub(super) const ADMITTED: [Admitted; 3] = [Admitted::Nobody, Admitted::Everybody, Admitted::Local];

impl Admitted {
    /// Whether a client may.
    pub fn admits(self, client: &crate::engine::Client) -> bool {
        match self {
            Admitted::Nobody => false,
            Admitted::Everybody => true,
            Admitted::Local => client.peer.is_local(),
        }
    }
}

/// How much is logged: each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
    /// Nothing.
    Nothing,
}

/// All of them, in the order of their words.
pub(super) const LOG_LEVELS: [LogLevel; 5] =
    [LogLevel::Debug, LogLevel::Verbose, LogLevel::Notice, LogLevel::Warning, LogLevel::Nothing];
