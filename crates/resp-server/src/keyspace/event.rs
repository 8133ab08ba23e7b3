//! What can happen to a key, with the names that clients see in keyspace notifications.

use super::notices::Class;

/// One change of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A string was set.
    Set,
    /// Bytes were appended to a string.
    Append,
    /// A range of a string was written.
    SetRange,
    /// Bits of a string were written.
    SetBit,
    /// A number was changed by an integer.
    IncrBy,
    /// A number was changed by a float.
    IncrByFloat,
    /// Members were added to a set.
    Sadd,
    /// Members were removed from a set.
    Srem,
    /// Random members were taken from a set.
    Spop,
    /// A set was set to what sets have in common.
    SinterStore,
    /// A set was set to what any of some sets has.
    SunionStore,
    /// A set was set to what a set has and others have not.
    SdiffStore,
    /// Members of a sorted set were given scores.
    Zadd,
    /// A score was changed by a number.
    Zincr,
    /// Members were removed from a sorted set.
    Zrem,
    /// Ranks were removed from a sorted set.
    ZremRangeByRank,
    /// A range of scores was removed from a sorted set.
    ZremRangeByScore,
    /// A range of members was removed from a sorted set.
    ZremRangeByLex,
    /// Members with the lowest scores were taken from a sorted set.
    ZpopMin,
    /// Members with the highest scores were taken from a sorted set.
    ZpopMax,
    /// A sorted set was set to a range of another.
    ZrangeStore,
    /// A sorted set was set to a union.
    ZunionStore,
    /// A sorted set was set to an intersection.
    ZinterStore,
    /// A sorted set was set to a difference.
    ZdiffStore,
    /// Elements were put at the head of a list.
    LPush,
    /// Elements were put at the tail of a list.
    RPush,
    /// Elements were taken off the head of a list.
    LPop,
    /// Elements were taken off the tail of a list.
    RPop,
    /// An element of a list was replaced.
    LSet,
    /// An element was put into a list.
    LInsert,
    /// Elements of a list were removed by their value.
    LRem,
    /// A list was cut to a range.
    LTrim,
    /// The key was removed by a command.
    Del,
    /// The key was given an expiry.
    Expire,
    /// The key's expiry was taken away.
    Persist,
    /// The key was removed because its time had come.
    Expired,
    /// The key was removed because memory was short.
    Evicted,
    /// The key became another one.
    RenameFrom,
    /// The key came from another one.
    RenameTo,
    /// The key was copied from another one.
    CopyTo,
    /// Fields of a hash were set.
    HSet,
    /// Fields of a hash were removed.
    HDel,
    /// A number in a hash was changed by an integer.
    HIncrBy,
    /// A number in a hash was changed by a float.
    HIncrByFloat,
    /// Fields of a hash were given an expiry.
    HExpire,
    /// The expiry of fields of a hash was taken away.
    HPersist,
    /// Fields of a hash were removed because their time had come.
    HExpired,
    /// A list was set to what SORT has sorted.
    SortStore,
    /// The key went to another database.
    MoveFrom,
    /// The key came from another database.
    MoveTo,
    /// There was no such key before, or it was removed to make room for this one.
    New,
    /// A command that reads did not find the key.
    KeyMiss,
}

impl Event {
    /// The class that clients choose it by.
    pub fn class(self) -> Class {
        match self {
            Event::Set | Event::Append | Event::SetRange | Event::SetBit | Event::IncrBy | Event::IncrByFloat => {
                Class::String
            }
            Event::Sadd | Event::Srem | Event::Spop | Event::SinterStore | Event::SunionStore | Event::SdiffStore => {
                Class::Set
            }
            Event::Zadd
            | Event::Zincr
            | Event::Zrem
            | Event::ZremRangeByRank
            | Event::ZremRangeByScore
            | Event::ZremRangeByLex
            | Event::ZpopMin
            | Event::ZpopMax
            | Event::ZrangeStore
            | Event::ZunionStore
            | Event::ZinterStore
            | Event::ZdiffStore => Class::SortedSet,
            Event::LPush
            | Event::RPush
            | Event::LPop
            | Event::RPop
            | Event::LSet
            | Event::LInsert
            | Event::LRem
            | Event::LTrim
            | Event::SortStore => Class::List,
            Event::HSet
            | Event::HDel
            | Event::HIncrBy
            | Event::HIncrByFloat
            | Event::HExpire
            | Event::HPersist
            | Event::HExpired => Class::Hash,
            Event::Del
            | Event::Expire
            | Event::Persist
            | Event::RenameFrom
            | Event::RenameTo
            | Event::CopyTo
            | Event::MoveFrom
            | Event::MoveTo => Class::Generic,
            Event::Expired => Class::Expired,
            Event::Evicted => Class::Evicted,
            Event::New => Class::New,
            Event::KeyMiss => Class::KeyMiss,
        }
    }

    /// Whether the key is not what it was.
    pub fn is_change(self) -> bool {
        !matches!(self, Event::New | Event::KeyMiss)
    }

    /// Its name in notifications.
    pub fn name(self) -> &'static str {
        match self {
            Event::Set => "set",
            Event::Append => "append",
            Event::SetRange => "setrange",
            Event::SetBit => "setbit",
            Event::IncrBy => "incrby",
            Event::IncrByFloat => "incrbyfloat",
            Event::Sadd => "sadd",
            Event::Srem => "srem",
            Event::Spop => "spop",
            Event::SinterStore => "sinterstore",
            Event::SunionStore => "sunionstore",
            Event::SdiffStore => "sdiffstore",
            Event::Zadd => "zadd",
            Event::Zincr => "zincr",
            Event::Zrem => "zrem",
            Event::ZremRangeByRank => "zremrangebyrank",
            Event::ZremRangeByScore => "zremrangebyscore",
            Event::ZremRangeByLex => "zremrangebylex",
            Event::ZpopMin => "zpopmin",
            Event::ZpopMax => "zpopmax",
            Event::ZrangeStore => "zrangestore",
            Event::ZunionStore => "zunionstore",
            Event::ZinterStore => "zinterstore",
            Event::ZdiffStore => "zdiffstore",
            Event::LPush => "lpush",
            Event::RPush => "rpush",
            Event::LPop => "lpop",
            Event::RPop => "rpop",
            Event::LSet => "lset",
            Event::LInsert => "linsert",
            Event::LRem => "lrem",
            Event::LTrim => "ltrim",
            Event::Del => "del",
            Event::Expire => "expire",
            Event::Persist => "persist",
            Event::Expired => "expired",
            Event::Evicted => "evicted",
            Event::RenameFrom => "rename_from",
            Event::RenameTo => "rename_to",
            Event::CopyTo => "copy_to",
            Event::HSet => "hset",
            Event::HDel => "hdel",
            Event::HIncrBy => "hincrby",
            Event::HIncrByFloat => "hincrbyfloat",
            Event::HExpire => "hexpire",
            Event::HPersist => "hpersist",
            Event::HExpired => "hexpired",
            Event::SortStore => "sortstore",
            Event::MoveFrom => "move_from",
            Event::MoveTo => "move_to",
            Event::New => "new",
            Event::KeyMiss => "keymiss",
        }
    }
}
