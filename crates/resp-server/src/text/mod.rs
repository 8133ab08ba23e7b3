//! Integers, doubles, patterns and quoting, as Redis reads and prints them.
