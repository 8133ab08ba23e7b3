//! Reads the line that documents a command's arguments, so that COMMAND DOCS can answer with a tree of them.
//!
//! ```text
//! key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]
//!
//! sequence = item { item }
//! item     = TOKEN [argument ...]             a token, with the arguments that follow it up to the next token or bracket
//!          | name[:type]                      an argument
//!          | [ choice ]                       may be left out
//!          | [ choice ] ...                   may be left out, or there several times
//!          | < choice >                       must be there
//!          | name [name ...]                  may be there several times; also for longer sequences: key value [key value ...]
//! choice   = sequence { | sequence }          one of them
//! ```
//!
//! A word in capitals is a token, one in lower case an argument. An argument's type follows from its name (`key` is a key,
//! `seconds` an integer), unless it is given behind a colon: `increment:double`. The types are Redis's.

/// An argument of a command, or a group of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The word that comes before it, or that it is.
    pub token: Option<String>,
    /// It may be left out.
    pub optional: bool,
    /// It may be there several times.
    pub multiple: bool,
    /// Each time with its token.
    pub multiple_token: bool,
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The name of a key.
    Key,
    /// Any bytes.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A glob pattern.
    Pattern,
    /// A point in time.
    UnixTime,
    /// Nothing but its token.
    PureToken,
    /// One of these.
    OneOf(Vec<Argument>),
    /// All of these.
    Block(Vec<Argument>),
}

impl Kind {
    /// The name that COMMAND DOCS prints.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf(_) => "oneof",
            Kind::Block(_) => "block",
        }
    }

    /// The arguments that it consists of; none unless it is a group.
    pub fn inner(&self) -> &[Argument] {
        match self {
            Kind::OneOf(inner) | Kind::Block(inner) => inner,
            _ => &[],
        }
    }

    /// The type of an argument of that name.
    fn of(name: &str) -> Kind {
        const KEYS: &[&str] = &["key", "newkey", "source", "destination"];
        const INTEGERS: &[&str] = &[
            "client-id",
            "count",
            "cursor",
            "db",
            "decrement",
            "destination-db",
            "end",
            "increment",
            "index",
            "milliseconds",
            "numfields",
            "numkeys",
            "offset",
            "seconds",
            "start",
        ];
        if KEYS.contains(&name) {
            Kind::Key
        } else if INTEGERS.contains(&name) {
            Kind::Integer
        } else if name == "pattern" {
            Kind::Pattern
        } else if name.starts_with("unix-time") {
            Kind::UnixTime
        } else {
            Kind::String
        }
    }

    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "key" => Kind::Key,
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "double" => Kind::Double,
            "pattern" => Kind::Pattern,
            "unix-time" => Kind::UnixTime,
            _ => return None,
        })
    }
}

/// Reads a syntax line; the error says what is wrong with it.
pub fn parse(line: &str) -> Result<Vec<Argument>, String> {
    let mut words = Words { left: words(line) };
    let sequence = words.sequence()?;
    match words.left.first() {
        None => Ok(sequence),
        Some(word) => Err(format!("'{word}' is out of place in '{line}'")),
    }
}

/// Words and brackets; `...` and `|` are words.
fn words(line: &str) -> Vec<&str> {
    const BRACKETS: &[char] = &['[', ']', '<', '>'];
    line.split_whitespace()
        .flat_map(|word| word.split_inclusive(BRACKETS))
        .flat_map(|word| match word.strip_suffix(BRACKETS) {
            Some("") | None => vec![word],
            Some(before) => vec![before, &word[before.len()..]],
        })
        .collect()
}

struct Words<'a> {
    left: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.left.first().copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        (!self.left.is_empty()).then(|| self.left.remove(0))
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.next() {
            Some(next) if next == word => Ok(()),
            other => Err(format!("expected '{word}', found '{}'", other.unwrap_or("the end"))),
        }
    }

    /// Items up to the end, a closing bracket or a bar.
    fn sequence(&mut self) -> Result<Vec<Argument>, String> {
        let mut items: Vec<Argument> = Vec::new();
        // The words that made up `items`, to know them again in `name [name ...]`, and where each item began in them.
        let mut spelt: Vec<&str> = Vec::new();
        let mut began: Vec<usize> = Vec::new();
        loop {
            if let Some(repeated) = self.repetition() {
                let first = spelt
                    .len()
                    .checked_sub(repeated)
                    .and_then(|start| began.iter().position(|&at| at == start))
                    .ok_or("a repetition that repeats no whole items")?;
                if spelt[began[first]..] != self.left[1..1 + repeated] {
                    return Err("a repetition that differs from what it repeats".to_owned());
                }
                self.left.drain(..repeated + 3);
                let mut group = block(items.split_off(first));
                group.multiple = true;
                group.multiple_token = group.token.is_some() && is_token(spelt[began[first]]);
                began.truncate(first + 1);
                items.push(group);
                continue;
            }
            let before = self.left.clone();
            let item = match self.peek() {
                None | Some("]" | ">" | "|") => return Ok(items),
                Some("[") => {
                    self.next();
                    let mut choice = self.choice()?;
                    self.expect("]")?;
                    choice.optional = true;
                    if self.peek() == Some("...") {
                        self.next();
                        choice.multiple = true;
                    }
                    choice
                }
                Some("<") => {
                    self.next();
                    let choice = self.choice()?;
                    self.expect(">")?;
                    choice
                }
                Some(word) => {
                    self.next();
                    if is_token(word) { self.token(word)? } else { argument(word)? }
                }
            };
            began.push(spelt.len());
            spelt.extend(&before[..before.len() - self.left.len()]);
            items.push(item);
        }
    }

    /// How many words `[word word ...]` repeats, if that comes next.
    fn repetition(&self) -> Option<usize> {
        let (&first, rest) = self.left.split_first()?;
        let dots = rest.iter().position(|&word| matches!(word, "..." | "[" | "]" | "|"))?;
        let is_repetition = first == "[" && rest[dots] == "..." && rest.get(dots + 1) == Some(&"]");
        (is_repetition && dots > 0).then_some(dots)
    }

    fn choice(&mut self) -> Result<Argument, String> {
        let mut members = vec![block(self.sequence()?)];
        while self.peek() == Some("|") {
            self.next();
            members.push(block(self.sequence()?));
        }
        if members.len() == 1 {
            return Ok(members.remove(0));
        }
        Ok(Argument { name: joined(&members), ..plain(Kind::OneOf(members)) })
    }

    /// A token with what follows it.
    fn token(&mut self, token: &str) -> Result<Argument, String> {
        let mut following = Vec::new();
        let mut spelt = Vec::new();
        while let Some(word) = self.peek() {
            if word == "<" && following.is_empty() {
                self.next();
                following.push(self.choice()?);
                self.expect(">")?;
                break;
            }
            if is_token(word) || matches!(word, "[" | "]" | "<" | ">" | "|") {
                break;
            }
            self.next();
            following.push(argument(word)?);
            spelt.push(word);
            if let Some(repeated) = self.repetition()
                && spelt.ends_with(&self.left[1..1 + repeated])
            {
                // TOKEN name [name ...], or several names: the token comes once.
                self.left.drain(..repeated + 3);
                let mut group = block(following.split_off(following.len() - repeated));
                group.multiple = true;
                following.push(group);
                spelt.clear();
            }
        }
        let mut argument = if following.is_empty() {
            Argument { name: token.to_lowercase(), ..plain(Kind::PureToken) }
        } else {
            block(following)
        };
        argument.token = Some(token.to_owned());
        Ok(argument)
    }
}

fn is_token(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_uppercase())
}

fn argument(word: &str) -> Result<Argument, String> {
    let (name, kind) = match word.split_once(':') {
        None => (word, Kind::of(word)),
        Some((name, kind)) => (name, Kind::named(kind).ok_or_else(|| format!("there is no type '{kind}'"))?),
    };
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return Err(format!("'{word}' is no name"));
    }
    Ok(Argument { name: name.to_owned(), ..plain(kind) })
}

fn plain(kind: Kind) -> Argument {
    Argument { name: String::new(), kind, token: None, optional: false, multiple: false, multiple_token: false }
}

/// Several arguments as one; one stays as it is.
fn block(mut items: Vec<Argument>) -> Argument {
    if items.len() == 1 {
        return items.remove(0);
    }
    Argument { name: joined(&items), ..plain(Kind::Block(items)) }
}

fn joined(items: &[Argument]) -> String {
    let names: Vec<&str> = items.iter().map(|item| &item.name[..]).collect();
    names.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    /// A tree as one line: `name:type`, `TOKEN=`, brackets for groups, and `?` optional, `*` multiple, `+` multiple with token.
    fn drawn(arguments: &[Argument]) -> String {
        let one = |argument: &Argument| {
            let inner = argument.kind.inner();
            let mut text = argument.token.as_ref().map(|token| format!("{token}=")).unwrap_or_default();
            text += &match argument.kind {
                Kind::PureToken => "!".to_owned(),
                Kind::OneOf(_) => format!("oneof({})", drawn(inner)),
                Kind::Block(_) => format!("block({})", drawn(inner)),
                _ => format!("{}:{}", argument.name, argument.kind.name()),
            };
            text += if argument.optional { "?" } else { "" };
            text += if argument.multiple { "*" } else { "" };
            text += if argument.multiple_token { "+" } else { "" };
            text
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_line_is_read_as_redis_documents_its_commands() {
        for (line, tree) in [
            ("", ""),
            ("key", "key:key"),
            ("key [key ...]", "key:key*"),
            ("key value [key value ...]", "block(key:key value:string)*"),
            ("[message]", "message:string?"),
            ("key [NX | XX] [GET]", "key:key oneof(NX=! XX=!)? GET=!?"),
            (
                "[EX seconds | EXAT unix-time-seconds | KEEPTTL]",
                "oneof(EX=seconds:integer EXAT=unix-time-seconds:unix-time KEEPTTL=!)?",
            ),
            (
                "cursor [MATCH pattern] [COUNT count] [TYPE type]",
                "cursor:integer MATCH=pattern:pattern? COUNT=count:integer? TYPE=type:string?",
            ),
            ("<ON | OFF>", "oneof(ON=! OFF=!)"),
            ("[TYPE <NORMAL | PUBSUB>]", "TYPE=oneof(NORMAL=! PUBSUB=!)?"),
            ("[ID client-id [client-id ...]]", "ID=client-id:integer?*"),
            ("FIELDS n:integer f [f ...]", "FIELDS=block(n:integer f:string*)"),
            ("FIELDS n:integer f v [f v ...]", "FIELDS=block(n:integer block(f:string v:string)*)"),
            ("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX=prefix:string?*+"),
            (
                "[protover:integer [AUTH username password] [SETNAME clientname]]",
                "block(protover:integer AUTH=block(username:string password:string)? SETNAME=clientname:string?)?",
            ),
            ("key increment:double", "key:key increment:double"),
            ("key [A x | <B y | C>] ...", "key:key oneof(A=x:string oneof(B=y:string C=!))?*"),
            ("key [GET a b [GET a b ...]]", "key:key GET=block(a:string b:string)?*+"),
            (
                "source destination [DB destination-db] [REPLACE]",
                "source:key destination:key DB=destination-db:integer? REPLACE=!?",
            ),
            ("<LIB-NAME libname | LIB-VER libver>", "oneof(LIB-NAME=libname:string LIB-VER=libver:string)"),
        ] {
            assert_eq!(parse(line).map(|arguments| drawn(&arguments)).as_deref(), Ok(tree), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_well_formed_is_an_error() {
        for line in
            ["[key", "key]", "<A | B", "a | b", "key [other ...]", "[key ...]", "key:nosuch", "...", "a b [a b c ...]"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_syntax_of_every_row_can_be_read() {
        for spec in commands::all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands().iter().copied())) {
            if let Err(reason) = parse(spec.doc.syntax) {
                panic!("{}: {reason}", spec.name);
            }
        }
    }
}
