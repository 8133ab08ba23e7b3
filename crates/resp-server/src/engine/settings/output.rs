//! `client-output-buffer-limit`: how much may wait for a client, by what it is.

use crate::text::integer::{parse_i64, parse_memory};

/// What a client is, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientClass {
    /// It asks and is answered, or watches commands.
    Normal,
    /// It follows this server.
    Replica,
    /// It subscribes to something.
    Pubsub,
}

const CLASSES: [ClientClass; 3] = [ClientClass::Normal, ClientClass::Replica, ClientClass::Pubsub];

impl ClientClass {
    /// Its name, as the setting prints it.
    fn name(self) -> &'static str {
        match self {
            ClientClass::Normal => "normal",
            ClientClass::Replica => "slave",
            ClientClass::Pubsub => "pubsub",
        }
    }

    fn find(name: &[u8]) -> Option<ClientClass> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("replica") {
            return Some(ClientClass::Replica);
        }
        CLASSES.into_iter().find(|class| is(class.name()))
    }
}

/// The limits of a class; 0 bytes: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which a client is closed.
    pub hard: u64,
    /// Bytes at which it is closed once it has been over them for so long.
    pub soft: u64,
    /// So long, in seconds.
    pub seconds: u64,
}

/// The limits of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    classes: [OutputLimit; 3],
    /// The least limit that there is: under it nothing has to be looked at.
    pub least: u64,
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        const MIB: u64 = 1 << 20;
        OutputLimits::of_classes([
            OutputLimit::default(),
            OutputLimit { hard: 256 * MIB, soft: 64 * MIB, seconds: 60 },
            OutputLimit { hard: 32 * MIB, soft: 8 * MIB, seconds: 60 },
        ])
    }
}

impl OutputLimits {
    fn of_classes(classes: [OutputLimit; 3]) -> OutputLimits {
        let limits = classes.iter().flat_map(|limit| [limit.hard, limit.soft]);
        OutputLimits { classes, least: limits.filter(|&bytes| bytes > 0).min().unwrap_or(u64::MAX) }
    }

    /// The limits of a class.
    pub fn of(&self, class: ClientClass) -> OutputLimit {
        self.classes[class as usize]
    }

    /// As CONFIG GET prints it.
    pub(super) fn print(&self) -> String {
        let printed = CLASSES.map(|class| {
            let OutputLimit { hard, soft, seconds } = self.of(class);
            format!("{} {hard} {soft} {seconds}", class.name())
        });
        printed.join(" ")
    }
}

/// Reads words in groups of four; classes that are not named stay as they are. The texts are Redis's.
pub(super) fn read<W: AsRef<[u8]>>(before: &OutputLimits, words: &[W]) -> Result<OutputLimits, String> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut classes = before.classes;
    for group in words.chunks(4) {
        let class = ClientClass::find(group[0].as_ref())
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let seconds = parse_i64(group[3].as_ref()).and_then(|seconds| u64::try_from(seconds).ok());
        let (Some(hard), Some(soft), Some(seconds)) =
            (parse_memory(group[1].as_ref()), parse_memory(group[2].as_ref()), seconds)
        else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned());
        };
        classes[class as usize] = OutputLimit { hard, soft, seconds };
    }
    Ok(OutputLimits::of_classes(classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> Result<OutputLimits, String> {
        read(&OutputLimits::default(), &words.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn the_limits_are_printed_as_redis_does_and_read_by_class() {
        let default = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        assert_eq!(OutputLimits::default().print(), default);
        assert_eq!(OutputLimits::default().least, 8 << 20);
        let limits = set("Normal 1mb 2kb 5 replica 0 0 0").expect("a good setting");
        assert_eq!(limits.print(), "normal 1048576 2048 5 slave 0 0 0 pubsub 33554432 8388608 60");
        assert_eq!(limits.of(ClientClass::Normal), OutputLimit { hard: 1 << 20, soft: 2048, seconds: 5 });
        assert_eq!(limits.least, 2048);
        assert_eq!(set("normal 0 0 0 slave 0 0 0 pubsub 0 0 0").map(|limits| limits.least), Ok(u64::MAX));
        for (words, error) in [
            ("normal 0 0", "Wrong number of arguments in buffer limit configuration."),
            ("master 0 0 0", "Invalid client class specified in buffer limit configuration."),
            ("normal x 0 0", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
            ("normal 0 0 -1", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ] {
            assert_eq!(set(words), Err(error.to_owned()), "{words}");
        }
    }
}
