//! LOLWUT: a picture, another one each time, and the versions.

use crate::commands::{Arity::AtLeast, CommandSpec, Doc, Flag, Flow, Group, Large, Outcome, Run};
use crate::engine::REDIS_VERSION;
use crate::keyspace::Db;
use crate::proto::{Args, CommandError, Reply};
use crate::text::integer::parse_i64;

/// The family's commands.
pub const COMMANDS: &[&CommandSpec] = &[&LOLWUT];

const LOLWUT: CommandSpec = CommandSpec {
    name: "lolwut",
    arity: AtLeast(1),
    flags: &[Flag::Readonly, Flag::Fast],
    keys: &[],
    large: Large::None,
    run: Run::Keys(lolwut),
    doc: Doc {
        summary: "Draws a picture, and tells the versions.",
        since: "5.0.0",
        syntax: "[VERSION version:integer]",
        ..Doc::of(Group::Server)
    },
};

fn lolwut(db: &mut Db<'_>, args: &Args<'_>, reply: &mut Reply) -> Outcome {
    if args.len() >= 3 && args.is(1, "VERSION") {
        // There is one picture, whatever the version.
        parse_i64(args.at(2)).ok_or(CommandError::NotAnInteger)?;
    }
    let picture = picture(|| db.random());
    let versions = format!("\nEvenkeel {} (Redis ver. {REDIS_VERSION})\n", env!("CARGO_PKG_VERSION"));
    reply.verbatim("txt", format!("{picture}{versions}").as_bytes());
    Ok(Flow::Done)
}

const COLUMNS: usize = 56;
const SKY_ROWS: usize = 7;
const SEA_ROWS: usize = 3;
/// Stands on its keel, whatever the sea does.
const SHIP: [&str; 7] = [
    "      |      ",
    "     /|\\     ",
    "    / | \\    ",
    "   /  |  \\   ",
    "  /___|___\\  ",
    "______|______",
    "\\_o__o__o__o/",
];

/// A night sky, a ship, and a sea: `random` says where the stars, the ship and the waves are.
fn picture(mut random: impl FnMut() -> u64) -> String {
    let ship_at = 4 + (random() % (COLUMNS - SHIP[0].len() - 8) as u64) as usize;
    let mut rows = Vec::new();
    for ship_row in SHIP.iter().take(SKY_ROWS) {
        let mut row: Vec<char> = (0..COLUMNS)
            .map(|_| if random().is_multiple_of(23) { ['.', '*', '+'][(random() % 3) as usize] } else { ' ' })
            .collect();
        for (offset, letter) in ship_row.chars().enumerate().filter(|(_, letter)| *letter != ' ') {
            row[ship_at + offset] = letter;
        }
        rows.push(row);
    }
    for _ in 0..SEA_ROWS {
        let begin = (random() % 5) as usize;
        let wave = ['~', '~', '^', '~', '-'];
        rows.push((0..COLUMNS).map(|column| wave[(column + begin) % wave.len()]).collect());
    }
    rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_its_ship_and_fits_a_terminal() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let text = picture(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            });
            assert_eq!(text.lines().count(), SKY_ROWS + SEA_ROWS);
            assert!(text.lines().all(|line| line.len() <= COLUMNS));
            assert!(text.contains("\\_o__o__o__o/"), "{text}");
        }
    }
}
