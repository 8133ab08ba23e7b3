//! What `OBJECT ENCODING` says of a set, by Redis's rules and settings.

use crate::text::integer::{MAX_LEN, parse_i64};
use crate::types::Limits;
use crate::types::name::{GivenName, StoredName};

/// What OBJECT ENCODING says of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// All members are integers; they come in ascending order.
    Intset,
    /// Few short members; they come in the order of their additions.
    Listpack,
    /// Any others; they come in any order.
    Hashtable,
}

impl Encoding {
    /// As `OBJECT ENCODING` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Intset => "intset",
            Encoding::Listpack => "listpack",
            Encoding::Hashtable => "hashtable",
        }
    }

    /// Of a new set that is to hold `first`, when a request adds `count` members to it.
    pub fn of_new(first: GivenName<'_>, count: usize, limits: &Limits) -> Encoding {
        if count <= limits.set_max_intset_entries && is_integer(first.into()) {
            Encoding::Intset
        } else if count <= limits.set_max_listpack_entries {
            Encoding::Listpack
        } else {
            Encoding::Hashtable
        }
    }

    /// Before a request adds `count` members to a set that there is: told from the count alone.
    #[must_use]
    pub fn before_adding(self, count: usize, limits: &Limits) -> Encoding {
        match self {
            Encoding::Intset if count > limits.set_max_intset_entries => Encoding::Hashtable,
            Encoding::Listpack if count > limits.set_max_listpack_entries => Encoding::Hashtable,
            same => same,
        }
    }

    /// With one more member, which a set of `len` did not have. `integer_len` is the length of the longest integer of an intset.
    #[must_use]
    pub fn with(
        self,
        len: usize,
        member: StoredName<'_>,
        integer_len: impl FnOnce() -> usize,
        limits: &Limits,
    ) -> Encoding {
        let fits = || len < limits.set_max_listpack_entries && member.len() <= limits.set_max_listpack_value;
        match self {
            Encoding::Intset if is_integer(member) => {
                if len < limits.set_max_intset_entries {
                    Encoding::Intset
                } else {
                    Encoding::Hashtable
                }
            }
            Encoding::Intset if fits() && integer_len() <= limits.set_max_listpack_value => Encoding::Listpack,
            Encoding::Listpack if fits() => Encoding::Listpack,
            _ => Encoding::Hashtable,
        }
    }
}

fn is_integer(member: StoredName<'_>) -> bool {
    member.len() <= MAX_LEN && parse_i64(member.as_slice(&mut Vec::new())).is_some()
}
