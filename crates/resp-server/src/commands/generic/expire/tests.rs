//! Times to the millisecond, in virtual time. The rest of the family is in `tests/transcripts/expire.txt`.

use super::*;
use crate::commands::testing::{START, ask, check, keyspace};

#[test]
fn every_row_is_whole() {
    for spec in COMMANDS {
        assert_eq!(spec.doc.group, Group::Generic);
        assert!(!spec.doc.summary.is_empty() && !spec.doc.syntax.is_empty(), "{}", spec.name);
        assert!(spec.doc.acl.contains(&AclCategory::Keyspace), "{}", spec.name);
    }
}

#[test]
fn a_time_to_live_is_rounded_to_the_nearest_second() {
    for (pttl, ttl) in [(1, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2), (100_000, 100)] {
        let mut keyspace = keyspace(u64::MAX);
        check(&mut keyspace, &[("SET k v", "+OK")]);
        assert_eq!(ask(&mut keyspace, &format!("PEXPIRE k {pttl}")), ":1");
        assert_eq!(ask(&mut keyspace, "PTTL k"), format!(":{pttl}"));
        assert_eq!(ask(&mut keyspace, "TTL k"), format!(":{ttl}"));
        assert_eq!(ask(&mut keyspace, "PEXPIRETIME k"), format!(":{}", START.0 + pttl));
    }
}

#[test]
fn time_to_live_runs_out_and_the_key_is_gone_a_millisecond_later() {
    let mut keyspace = keyspace(u64::MAX);
    check(&mut keyspace, &[("SET k v PX 1500", "+OK")]);
    keyspace.set_now(Millis(START.0 + 1_500));
    check(&mut keyspace, &[("PTTL k", ":0"), ("TTL k", ":0"), ("GET k", "$1 v")]);
    keyspace.set_now(Millis(START.0 + 1_501));
    check(&mut keyspace, &[("PTTL k", ":-2"), ("TTL k", ":-2"), ("GET k", "$-1")]);
}

#[test]
fn conditions_judge_the_old_expiry_against_the_new() {
    // The expiry there is, in seconds from now; the condition; whether 100 seconds are set.
    for (old, condition, set) in [
        (None, "", true),
        (None, "NX", true),
        (None, "XX", false),
        (None, "GT", false),
        (None, "LT", true),
        (None, "XX LT", false),
        (Some(50), "", true),
        (Some(50), "NX", false),
        (Some(50), "XX", true),
        (Some(50), "GT", true),
        (Some(50), "LT", false),
        (Some(100), "GT", false),
        (Some(100), "LT", false),
        (Some(150), "GT", false),
        (Some(150), "LT", true),
        (Some(150), "XX GT", false),
        (Some(150), "XX LT", true),
    ] {
        for command in ["EXPIRE k 100", "PEXPIRE k 100000", "EXPIREAT k 1000000100", "PEXPIREAT k 1000000100000"] {
            let mut keyspace = keyspace(u64::MAX);
            check(&mut keyspace, &[("SET k v", "+OK")]);
            if let Some(seconds) = old {
                ask(&mut keyspace, &format!("EXPIRE k {seconds}"));
            }
            let request = format!("{command} {condition}");
            assert_eq!(ask(&mut keyspace, request.trim_end()), format!(":{}", i32::from(set)), "{request}, {old:?}");
            let ttl = if set { 100 } else { old.unwrap_or(-1) };
            assert_eq!(ask(&mut keyspace, "TTL k"), format!(":{ttl}"), "{request}, {old:?}");
        }
    }
}

#[test]
fn the_error_names_the_command() {
    let mut keyspace = keyspace(u64::MAX);
    for command in ["expire", "pexpire", "expireat"] {
        let reply = ask(&mut keyspace, &format!("{command} k 9223372036854775807"));
        assert_eq!(reply, format!("-ERR invalid expire time in '{command}' command"));
    }
}
