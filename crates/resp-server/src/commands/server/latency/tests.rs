//! Drawings and levels, compared with what Redis 7.0.15 was seen to print.

use super::*;
use crate::engine::latency::Monitor;
use crate::engine::stats::Stats;

fn drawn(samples: &[(i64, u64)], now_seconds: i64) -> String {
    let mut monitor = Monitor::default();
    samples.iter().for_each(|&(second, ms)| monitor.add("command", second, ms));
    let (name, event) = monitor.event(b"command").unwrap();
    graph(name, event, now_seconds)
}

fn rule() -> String {
    "-".repeat(80)
}

#[test]
fn a_graph_is_drawn_as_redis_draws_it() {
    let expected = format!(
        "command - high 200 ms, low 20 ms (all time high 200 ms)\n{}\n   #\n   |\n   |\n_#_|\n    \n4321\nssss\n",
        rule()
    );
    assert_eq!(drawn(&[(84, 20), (85, 50), (86, 30), (87, 200)], 88), expected);
}

#[test]
fn a_single_sample_is_the_lowest_and_the_highest() {
    let expected = format!("command - high 20 ms, low 20 ms (all time high 20 ms)\n{}\n \n \n \n_\n \n0\ns\n", rule());
    assert_eq!(drawn(&[(84, 20)], 84), expected);
}

#[test]
fn labels_tell_the_largest_full_unit() {
    for (seconds, label) in
        [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_399, "23h"), (172_800, "2d")]
    {
        assert_eq!(ago(seconds), label);
    }
}

#[test]
fn more_than_eighty_samples_are_drawn_in_several_graphs() {
    let samples: Vec<(i64, u64)> = (0..100).map(|at| (at, 10 + at as u64)).collect();
    let graph = drawn(&samples, 100);
    let lines: Vec<&str> = graph.lines().collect();
    assert_eq!((lines[2].len(), lines[6].len()), (80, 80));
    let empty = lines[2..].iter().position(|line| line.is_empty()).unwrap();
    assert_eq!(lines[2 + empty + 1].len(), 20);
}

#[test]
fn levels_are_those_of_redis_and_only_where_the_number_grows() {
    for (calls_ns, levels) in [
        (&[100, 1000, 1031][..], &[(1, 3)][..]),
        (&[1032, 2063, 2064], &[(2, 2), (4, 3)]),
        (&[6015, 6015, 30_000, 31_000], &[(8, 2), (33, 4)]),
        (&[118_271], &[(132, 1)]),
        (&[500_000_000, 600_000_000, 900_000_000, 1_200_000_000], &[(541_065, 1), (1_073_741, 4)]),
    ] {
        let mut stats = Stats::default();
        for &ns in calls_ns {
            stats.count_call(0, "get");
            stats.end_run(ns, true);
        }
        assert_eq!(cumulative(stats.commands().next().unwrap()), levels, "{calls_ns:?}");
    }
}

#[test]
fn calls_that_are_not_tracked_are_in_no_histogram() {
    let mut stats = Stats::default();
    stats.count_call(0, "get");
    stats.end_run(100, false);
    assert!(cumulative(stats.commands().next().unwrap()).is_empty());
}
