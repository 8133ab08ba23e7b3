//! A request as ranges over the bytes that it arrived in.
//!
//! The parser fills a [`Batch`]: one flat list of spans, and for each request where its spans begin. Nothing is copied and
//! nothing is allocated per request; the lists are reused from batch to batch.
//!
//! A large value is not among those bytes: it came straight from the socket into the pages of a blob, and stands [`Apart`]; so does the
//! long name of an element. Its span is empty, and only commands that say that they take such an argument there ever see one.

use std::cell::Cell;
use std::sync::Arc;

use chunkbuf::{Blob, KEY_LEN_MAX};

use crate::types::name::{GivenName, LongName};

/// A range of bytes of the query buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, in bytes from the start of the query buffer.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

impl Span {
    /// The bytes that the span covers.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// Bytes that are remembered of an argument that stands apart, for those that show requests.
pub const HEAD: usize = 128;

/// An argument that does not stand among the bytes of its request.
pub struct Apart {
    /// Which argument it is.
    index: usize,
    /// Bytes of it.
    len: u64,
    /// The first of them; none if there was no memory for it.
    head: Vec<u8>,
    content: Content,
}

enum Content {
    /// A value, until it is taken; `None` also if there was no memory for it.
    Value(Cell<Option<Blob>>),
    /// A name.
    Name(Arc<LongName>),
}

impl Content {
    fn is_here(&self) -> bool {
        match self {
            Content::Value(value) => {
                let taken = value.take();
                let is_here = taken.is_some();
                value.set(taken);
                is_here
            }
            Content::Name(name) => name.is_whole(),
        }
    }

    /// The same for another list: a value is taken.
    fn hand_over(&self) -> Content {
        match self {
            Content::Value(value) => Content::Value(Cell::new(value.take())),
            Content::Name(name) => Content::Name(Arc::clone(name)),
        }
    }
}

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argument {} of {} bytes", self.index, self.len)
    }
}

impl Apart {
    /// Argument `index`, of `len` bytes. `None`: there was no memory for it.
    pub(super) fn new(index: usize, len: u64, value: Option<Blob>) -> Apart {
        let head = value.as_ref().map_or_else(Vec::new, |blob| {
            let pieces: Vec<&[u8]> = blob.pieces(0..blob.len().min(HEAD as u64)).collect();
            pieces.concat()
        });
        Apart { index, len, head, content: Content::Value(Cell::new(value)) }
    }

    /// Bytes of the heap that it takes, about, and not of the store's pages: the key of a name.
    pub(crate) fn held_bytes(&self) -> usize {
        match self.content {
            Content::Value(_) => 0,
            Content::Name(_) => KEY_LEN_MAX,
        }
    }

    /// Argument `index`, a name.
    pub(super) fn of_name(index: usize, name: LongName) -> Apart {
        let given = GivenName::from(&name);
        let (len, head) = (given.len() as u64, given.beginning()[..HEAD].to_vec());
        Apart { index, len, head, content: Content::Name(Arc::new(name)) }
    }
}

/// An argument that may be large.
#[derive(Debug)]
pub enum Value<'a> {
    /// Among the bytes of the request.
    Bytes(&'a [u8]),
    /// On pages of its own.
    Blob(Blob),
}

impl Value<'_> {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> u64 {
        match self {
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::Blob(blob) => blob.len(),
        }
    }
}

/// Arguments that stand apart and are freed at once, some 4 us each.
pub(crate) const APART_AT_ONCE: usize = 16;
/// Spans that an empty batch keeps memory for.
const KEEP_SPANS: usize = 16 * 1024;
/// Spans, 1 MiB of them, that are not freed at once.
const EXCESS_SPANS: usize = 128 * 1024;

/// The complete requests of one read, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Arguments of the first request that stand apart, in order: it alone can have any, as its end was awaited.
    apart: Vec<Apart>,
    spans: Vec<Span>,
    /// For each request the index in `spans` one past its last argument.
    ends: Vec<u32>,
    /// Room in which the parser splits an inline command: (start, length) of each word.
    pub(super) words: Vec<(u32, u32)>,
}

impl Batch {
    /// A batch without requests.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Forgets all requests; keeps the memory, up to a bound.
    pub fn clear(&mut self) {
        self.apart.clear();
        self.spans.clear();
        self.spans.shrink_to(KEEP_SPANS);
        self.ends.clear();
        self.ends.shrink_to(KEEP_SPANS);
    }

    /// Whether the first request has arguments that stand apart.
    pub fn has_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// A batch with room for so many arguments.
    pub(crate) fn with_room(arguments: usize) -> Batch {
        Batch { spans: Vec::with_capacity(arguments), ..Batch::default() }
    }

    /// Bytes of memory that its lists take, what is remembered of what stands apart included.
    pub(crate) fn held_bytes(&self) -> usize {
        self.memory_bytes()
            + self.apart.iter().map(|apart| size_of::<Apart>() + HEAD + apart.held_bytes()).sum::<usize>()
    }

    /// Frees a bounded part of a batch that is done with; whether there is more.
    pub(crate) fn free_some(&mut self) -> bool {
        self.apart.truncate(self.apart.len().saturating_sub(APART_AT_ONCE));
        if !self.apart.is_empty() {
            return true;
        }
        self.spans.clear();
        self.spans.shrink_to(self.spans.capacity().saturating_sub(EXCESS_SPANS));
        self.spans.capacity() > 0
    }

    /// Takes over what stands apart from a request, whose copy is the first of this batch.
    pub(crate) fn hand_over_apart(&mut self, args: &Args<'_>) {
        let hand_over =
            |apart: &Apart| Apart { head: apart.head.clone(), content: apart.content.hand_over(), ..*apart };
        self.apart = args.apart.iter().map(hand_over).collect();
    }

    /// What stood apart and was not taken, to be freed in steps: a name has 64 KiB of memory of its own.
    pub fn take_apart(&mut self) -> Vec<Apart> {
        std::mem::take(&mut self.apart)
    }

    /// Sets what stands apart from the first request.
    pub(super) fn set_apart(&mut self, apart: Vec<Apart>) {
        self.apart = apart;
    }

    /// Sets argument `index` of the first request apart.
    #[cfg(test)]
    pub(crate) fn put_apart(&mut self, index: usize, value: Blob) {
        self.apart.push(Apart::new(index, value.len(), Some(value)));
    }

    /// Bytes of memory that its lists take, about: not what it was parsed from, nor what stands apart.
    pub fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.ends.capacity() * size_of::<u32>()
    }

    /// How many complete requests there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no complete request.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a request with the given arguments.
    #[inline]
    pub fn push(&mut self, args: &[Span]) {
        self.spans.extend_from_slice(args);
        self.end_request();
    }

    /// Makes `args` the first request of an empty batch. Not copied when they are many.
    pub(super) fn adopt(&mut self, args: Vec<Span>) {
        debug_assert!(self.spans.is_empty() && self.ends.is_empty());
        if args.len() <= KEEP_SPANS {
            return self.push(&args);
        }
        self.spans = args;
        self.end_request();
    }

    /// Forgets all requests. Their arguments, if they were so many that to free the list at once would be a stall.
    pub fn take_excess(&mut self) -> Option<Vec<Span>> {
        let excess = (self.spans.capacity() > EXCESS_SPANS).then(|| std::mem::take(&mut self.spans));
        if excess.is_some() {
            self.ends.clear();
        }
        excess
    }

    /// Appends an argument to the request being built.
    #[inline]
    pub fn push_arg(&mut self, arg: Span) {
        self.spans.push(arg);
    }

    /// Completes the request being built: all arguments since the last one was completed.
    #[inline]
    pub fn end_request(&mut self) {
        self.ends.push(u32::try_from(self.spans.len()).expect("a batch holds fewer than 2^32 arguments"));
    }

    /// The list that arguments of the request being built are appended to, behind those of the complete requests.
    #[inline]
    pub(super) fn spans_mut(&mut self) -> &mut Vec<Span> {
        &mut self.spans
    }

    /// Takes the arguments of the request being built out of the batch, which then holds complete requests only.
    pub(super) fn take_open(&mut self) -> impl Iterator<Item = Span> + '_ {
        let complete = self.ends.last().map_or(0, |&end| end as usize);
        self.spans.drain(complete..)
    }

    /// The arguments of request `index`, over the `bytes` that were parsed.
    #[inline]
    pub fn args<'a>(&'a self, index: usize, bytes: &'a [u8]) -> Args<'a> {
        let (first, apart) = if index == 0 { (0, &self.apart[..]) } else { (self.ends[index - 1] as usize, &[][..]) };
        Args { bytes, spans: &self.spans[first..self.ends[index] as usize], apart }
    }
}

/// The arguments of one request; argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    apart: &'a [Apart],
}

impl<'a> Args<'a> {
    /// Arguments from parts; used by tests and by callers that build a request themselves.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { bytes, spans, apart: &[] }
    }

    /// How many arguments there are, the name included.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // a request has at least its name
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Argument `index`. The arity gate has made sure that it is there; otherwise this panics.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        debug_assert!(self.apart_at(index).is_none(), "what stands apart is not asked for as bytes");
        self.bytes_at(index)
    }

    #[inline]
    fn bytes_at(&self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.bytes)
    }

    /// Argument `index`, if there are so many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        Some(self.spans.get(index)?.of(self.bytes))
    }

    /// Argument `index` as a value that may be large. For arguments that the command's row says may be
    /// [large](crate::commands::Large).
    ///
    /// # Panics
    /// When it stands apart and is not here: taken before, or [never received](Args::is_whole). What is left of it among the
    /// bytes is empty and must not pass for it.
    #[inline]
    pub fn take_value(&self, index: usize) -> Value<'a> {
        match self.apart_at(index).map(|apart| &apart.content) {
            Some(Content::Value(value)) => Value::Blob(value.take().expect("what stands apart is taken once")),
            Some(Content::Name(_)) => panic!("a name is asked for as one"),
            None => Value::Bytes(self.bytes_at(index)),
        }
    }

    /// Argument `index` as the name of an element. For arguments that the command's row says may be [large](crate::commands::Large)
    /// names.
    #[inline]
    pub fn name(&self, index: usize) -> GivenName<'a> {
        match self.apart_at(index).map(|apart| &apart.content) {
            Some(Content::Name(name)) => (&**name).into(),
            _ => self.bytes_at(index).into(),
        }
    }

    /// The arguments from `index` on as names.
    #[inline]
    pub fn names(&self, index: usize) -> impl ExactSizeIterator<Item = GivenName<'a>> + use<'a> {
        let args = *self;
        (index.min(self.len())..self.len()).map(move |index| args.name(index))
    }

    /// The first bytes of argument `index`, wherever it stands and whether it was taken or not: at most `bytes_max`, and of one
    /// that stands apart at most [`HEAD`].
    pub fn beginning(&self, index: usize, bytes_max: usize) -> &'a [u8] {
        let bytes = self.apart_at(index).map_or_else(|| self.bytes_at(index), |apart| &apart.head);
        &bytes[..bytes.len().min(bytes_max)]
    }

    /// The length of argument `index`, wherever it stands.
    #[inline]
    pub fn len_of(&self, index: usize) -> u64 {
        self.apart_at(index).map_or_else(|| self.bytes_at(index).len() as u64, |apart| apart.len)
    }

    #[inline]
    fn apart_at(&self, index: usize) -> Option<&'a Apart> {
        if self.apart.is_empty() {
            return None;
        }
        let found = self.apart.binary_search_by_key(&index, |apart| apart.index).ok()?;
        Some(&self.apart[found])
    }

    /// Bytes that the entries of its arguments will have: of a long name that stands apart what its key has, of a value nothing.
    pub fn entry_bytes(&self) -> u64 {
        let keys: usize = self.apart.iter().map(Apart::held_bytes).sum();
        (self.extent() + keys) as u64
    }

    /// Bytes of argument `index` that an entry will have.
    pub fn entry_bytes_of(&self, index: usize) -> usize {
        self.apart_at(index).map_or_else(|| self.bytes_at(index).len(), Apart::held_bytes)
    }

    /// Bytes of all arguments that stand apart. O(their number), nearly always none.
    pub fn apart_len(&self) -> u64 {
        self.apart.iter().map(|apart| apart.len).sum()
    }

    /// Whether all arguments are here: there was memory for each that stands apart, and none was taken.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.apart.iter().all(|apart| apart.content.is_here())
    }

    /// Whether names can be looked up and all values are here, though there was no memory to add a name.
    pub fn is_found_by(&self) -> bool {
        self.apart.iter().all(|apart| matches!(apart.content, Content::Name(_)) || apart.content.is_here())
    }

    /// The arguments from `index` on.
    #[inline]
    pub fn from(&self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans[index.min(self.spans.len())..].iter().map(move |span| span.of(bytes))
    }

    /// Bytes from the beginning of the first argument to the end of the last. O(1).
    #[inline]
    pub fn extent(&self) -> usize {
        match (self.spans.first(), self.spans.last()) {
            (Some(first), Some(last)) => (last.start as usize + last.len as usize).saturating_sub(first.start as usize),
            _ => 0,
        }
    }

    /// The bytes from the beginning of the first argument to the end of the last, whatever stands between them.
    pub(crate) fn raw(&self) -> &'a [u8] {
        let start = self.spans.first().map_or(0, |first| first.start as usize);
        &self.bytes[start..start + self.extent()]
    }

    /// Where the arguments are among the [raw](Args::raw) bytes.
    pub(crate) fn spans(&self) -> impl ExactSizeIterator<Item = Span> + use<'a> {
        let start = self.spans.first().map_or(0, |first| first.start);
        self.spans.iter().map(move |span| Span { start: span.start - start, len: span.len })
    }

    /// Whether some argument stands apart.
    pub(crate) fn has_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// The length of all arguments together. O(arguments)
    pub(crate) fn total_len(&self) -> u64 {
        self.spans.iter().map(|span| u64::from(span.len)).sum::<u64>() + self.apart_len()
    }

    /// The arguments from `index` on, as arguments of their own (a subcommand sees its name as argument 0).
    pub fn tail(&self, index: usize) -> Args<'a> {
        debug_assert!(self.apart.is_empty(), "no subcommand takes large values");
        Args { bytes: self.bytes, spans: &self.spans[index..], apart: &[] }
    }

    /// Whether argument `index` is there and equals `word`, case aside.
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}
