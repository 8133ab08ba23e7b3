//! A request as ranges over the bytes that it arrived in.
//!
//! The parser fills a [`Batch`]: one flat list of spans, and for each request where its spans begin. Nothing is copied and
//! nothing is allocated per request; the lists are reused from batch to batch.

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

/// Spans that an empty batch keeps memory for.
const KEEP_SPANS: usize = 16 * 1024;
/// Spans, 1 MiB of them, that are not freed at once.
const EXCESS_SPANS: usize = 128 * 1024;

/// The complete requests of one read, in order.
#[derive(Debug, Default)]
pub struct Batch {
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
        self.spans.clear();
        self.spans.shrink_to(KEEP_SPANS);
        self.ends.clear();
        self.ends.shrink_to(KEEP_SPANS);
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
        let first = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Args { bytes, spans: &self.spans[first..self.ends[index] as usize] }
    }
}

/// The arguments of one request; argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Arguments from parts; used by tests and by callers that build a request themselves.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { bytes, spans }
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
        self.spans[index].of(self.bytes)
    }

    /// Argument `index`, if there are so many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        Some(self.spans.get(index)?.of(self.bytes))
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

    /// The arguments from `index` on, as arguments of their own (a subcommand sees its name as argument 0).
    pub fn tail(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: &self.spans[index..] }
    }

    /// Whether argument `index` is there and equals `word`, case aside.
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}
