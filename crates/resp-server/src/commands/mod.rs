//! One row and one function a command; one file a family.

pub mod spec;

pub use spec::{Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Outcome, Run};
