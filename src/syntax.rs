//! From text to a syntax tree: the grammar, a lossless tree with comments, recovery, and the typed tree on top.

pub mod ast;
