//! One row and one function a command; one file a family.

pub mod spec;

pub(crate) mod arguments;
pub(crate) mod expire;
pub(crate) mod generic;
pub(crate) mod string;

pub use spec::{
    AclCategory, Arity, CommandSpec, Context, Doc, Flag, Flow, Group, KeyFlag, KeySpec, Outcome,
    Run,
};
