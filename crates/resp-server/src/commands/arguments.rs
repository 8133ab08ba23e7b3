//! Arguments that many commands share: integers, units of time, and their errors.

use crate::keyspace::Millis;
use crate::proto::CommandError;
use crate::text::integer::parse_i64;

/// A 64-bit integer.
#[inline]
pub(crate) fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_i64(arg).ok_or(CommandError::NotAnInteger)
}

/// A 32-bit integer.
pub(crate) fn small_integer(arg: &[u8]) -> Result<i32, CommandError> {
    i32::try_from(integer(arg)?).map_err(|_| {
        CommandError::text_static("ERR value is out of range, value must between -2147483648 and 2147483647")
    })
}

/// The unit in which a command counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

impl Unit {
    /// A number of this unit in milliseconds, if it fits 64 bits.
    pub(crate) fn to_millis(self, value: i64) -> Option<i64> {
        match self {
            Unit::Seconds => value.checked_mul(1_000),
            Unit::Millis => Some(value),
        }
    }

    /// Milliseconds in this unit, rounded to the nearest. The largest number rounds up too: 500 more would not fit.
    pub(crate) fn of_millis(self, millis: i64) -> i64 {
        match self {
            Unit::Seconds => millis / 1_000 + i64::from(millis % 1_000 >= 500),
            Unit::Millis => millis,
        }
    }
}

/// What a point in time is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The time of the command.
    Now,
    /// The Unix epoch.
    Epoch,
}

impl Since {
    /// The point that lies `millis` after this, if 64 bits can tell it.
    pub(crate) fn after(self, millis: i64, now: Millis) -> Option<Millis> {
        match self {
            Since::Now => now.0.checked_add(millis).map(Millis),
            Since::Epoch => Some(Millis(millis)),
        }
    }
}

/// What the named command answers to a time that is out of range.
pub(crate) fn invalid_expire_time(command: &str) -> CommandError {
    CommandError::Text(format!("ERR invalid expire time in '{command}' command").into())
}
