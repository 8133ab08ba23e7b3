//! For tests of handlers: requests as words, replies as the bytes on the wire, without an engine around them.

use chunkbuf::{Options, Store};

use super::{Arity, Flow, Run};
use crate::keyspace::{Keyspace, Millis};
use crate::proto::{Args, CommandError, Reply, Span};

/// The time at which tests begin.
pub(crate) const START: Millis = Millis(1_000_000_000_000);

/// A keyspace of two databases that may hold `memory_limit` bytes, at [`START`].
pub(crate) fn keyspace(memory_limit: u64) -> Keyspace {
    let store = Store::new(Options { memory_limit, ..Options::default() });
    let mut keyspace = Keyspace::new(store, 2, 7);
    keyspace.set_now(START);
    // Without an engine nothing can go on in slices.
    keyspace.slice_bytes = usize::MAX;
    keyspace
}

/// A request in the form in which handlers take it.
pub(crate) fn with_args<R>(words: &[&[u8]], run: impl FnOnce(&Args<'_>) -> R) -> R {
    let bytes = words.concat();
    let mut start = 0;
    let spans = words.iter().map(|word| {
        let span = Span { start, len: word.len() as u32 };
        start += span.len;
        span
    });
    let spans: Vec<Span> = spans.collect();
    run(&Args::new(&bytes, &spans))
}

/// Carries out a request on database 0 and returns the reply, its line ends as blanks: `$2 ab`, `:1`, `-ERR syntax error`.
pub(crate) fn ask_words(keyspace: &mut Keyspace, words: &[&[u8]], reply: &mut Reply) -> String {
    let name = String::from_utf8_lossy(words[0]).to_lowercase();
    let spec = super::all().find(|spec| spec.name == name).expect("a command");
    let fits = match spec.arity {
        Arity::Exactly(len) => words.len() == len as usize,
        Arity::AtLeast(len) => words.len() >= len as usize,
    };
    let outcome = match spec.run {
        _ if !fits => Err(CommandError::Arity(spec.name)),
        Run::Keys(run) => with_args(words, |args| run(&mut keyspace.db(0), args, reply)),
        Run::Server(_) | Run::Subcommands(_) | Run::BareOr(..) => panic!("{name} needs an engine"),
    };
    match outcome {
        Ok(Flow::Done | Flow::Close) => {}
        Ok(Flow::Park(wait)) => panic!("{wait:?} needs an engine"),
        Ok(Flow::Sliced(task)) => panic!("{task:?} needs an engine"),
        Ok(Flow::Transaction(queue)) => panic!("{queue:?} needs an engine"),
        Err(error) => {
            assert!(reply.is_empty(), "an error is all of a reply");
            reply.error(&error.text());
        }
    }
    String::from_utf8_lossy(&reply.to_vec()).replace("\r\n", " ").trim_end().to_string()
}

/// [`ask_words`] with a request of words without blanks; `""` is the empty one.
pub(crate) fn ask(keyspace: &mut Keyspace, request: &str) -> String {
    let words = request.split(' ').map(|word| if word == "\"\"" { "" } else { word });
    let words: Vec<&[u8]> = words.map(str::as_bytes).collect();
    ask_words(keyspace, &words, &mut Reply::new())
}

/// Asks each request of a table, and compares the reply.
pub(crate) fn check(keyspace: &mut Keyspace, table: &[(&str, &str)]) {
    for (request, reply) in table {
        assert_eq!(&ask(keyspace, request), reply, "{request}");
    }
}
