//! The syntax tree: what was written, with the place of everything, before any name or type is looked at.

use crate::{
    source::{Name, Span, Spanned},
    units::{Duration, Money, Percent, Size},
};
use std::cell::RefCell;

/// A name and where it stands.
pub type Ident = Spanned<Name>;

/// A file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Its imports, in order.
    pub imports: Vec<Import>,
    /// Its declarations, in order; what could not be parsed is left out, and has been reported.
    pub items: Vec<Item>,
    /// The names of declarations that could not be read; what uses them is not wrong once more.
    pub broken: Vec<Ident>,
}

/// `import std/nn.{dense, relu as r}` or `import ./features as f`.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The path as written.
    pub path: Ident,
    /// What is brought in.
    pub what: Imported,
    /// The whole import.
    pub span: Span,
}

/// What an import brings in.
#[derive(Clone, Debug, PartialEq)]
pub enum Imported {
    /// The module, under its last name or another.
    Module(Ident),
    /// Some of its items: the item's name and the name that it has here.
    Items(Vec<(Ident, Ident)>),
}

/// A declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The `///` comment above it, lines joined.
    pub doc: Option<String>,
    /// The annotations above it.
    pub annotations: Vec<Annotation>,
    /// Its name; for a test, the test's text.
    pub name: Ident,
    /// What it declares.
    pub kind: ItemKind,
    /// The whole declaration, without annotations.
    pub span: Span,
}

/// What is declared.
#[expect(missing_docs, reason = "the line above each variant shows what its fields are")]
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// `const name: T = expr`
    Const { ty: Option<Type>, value: Expr },
    /// `type Name = T`
    Type(Type),
    /// `enum Name { A, B }`
    Enum(Vec<Ident>),
    /// `fn f(p: T) -> T = expr`
    Fn { params: Vec<Param>, output: Type, body: Expr },
    /// `extern fn f(p: T) -> T`
    ExternFn { params: Vec<Param>, output: Type },
    /// `extern task t(p: T) -> T`
    ExternTask { params: Vec<Param>, output: Type },
    /// `dataset name(params) { … }`
    Dataset { params: Vec<Param>, settings: Vec<Setting> },
    /// `model name(params) = layers`
    Model { params: Vec<Param>, layers: Expr },
    /// `task name(params) -> T { … }`
    Task { params: Vec<Param>, output: Option<Type>, settings: Vec<Setting> },
    /// `workflow name(params) -> T { … }`
    Workflow { params: Vec<Param>, output: Option<Type>, body: Body },
    /// `test "name" { … }`
    Test(Body),
}

/// The block of a workflow or test, until it is taken by who looks at it: it may be most of a file.
pub type Body = RefCell<Option<Block>>;

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The annotations before it.
    pub annotations: Vec<Annotation>,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
    /// Its value when none is given.
    pub default: Option<Expr>,
}

/// `@name(args)`
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Its name, without the `@`.
    pub name: Ident,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// The whole annotation.
    pub span: Span,
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Its form.
    pub kind: TypeKind,
    /// Where it stands.
    pub span: Span,
}

/// The form of a type.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// `Name` or `Name[T, U]`
    Named(Name, Vec<Type>),
    /// `{ field: T }`
    Record(Vec<(Ident, Type)>),
    /// `T?`
    Optional(Box<Type>),
}

/// `{ statements… result }`
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The statements, in order.
    pub stmts: Vec<Stmt>,
    /// The value of the block, if it has one; a step or other flow in last place is a statement.
    pub result: Option<Expr>,
    /// Whether there is text between them that can't be read, which may be any statement or the value.
    pub broken: bool,
    /// The braces and all between.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// The annotations above it.
    pub annotations: Vec<Annotation>,
    /// What it does.
    pub kind: StmtKind,
    /// The whole statement, without annotations.
    pub span: Span,
}

/// What a statement does.
#[expect(missing_docs, reason = "the line above each variant shows what its fields are")]
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `let name: T = …`
    Let { name: Ident, ty: Option<Box<Type>>, value: Rhs },
    /// `assert cond, "message"`
    Assert { cond: Box<Expr>, message: Option<Box<Expr>> },
    /// A step, loop, branch or scope without a name.
    Flow(Box<Flow>),
}

/// The right-hand side of a `let`.
#[derive(Clone, Debug, PartialEq)]
pub enum Rhs {
    /// A pure value.
    Expr(Box<Expr>),
    /// Something with effects.
    Flow(Box<Flow>),
}

/// Something with effects: a step or a compound of steps.
#[expect(missing_docs, reason = "the line above each variant shows what its fields are")]
#[derive(Clone, Debug, PartialEq)]
pub enum Flow {
    /// `run`, `train`, `search` or `evaluate`.
    Step(Step),
    /// `for name in list { … }`
    For { name: Ident, list: Expr, body: Block },
    /// `if cond { … } else { … }`
    If { cond: Expr, then: Block, otherwise: Option<Box<Else>> },
    /// `try { … } catch Kind as e { … }`
    Try { body: Block, catches: Vec<Catch> },
    /// `group { … }`
    Group(Block),
    /// `repeat n while cond { … }`, with an optional carried value: `repeat n with name = start while cond { … }`
    Repeat { times: Expr, carried: Option<Box<(Ident, Expr)>>, cond: Option<Box<Expr>>, body: Block },
}

/// What follows `else`.
#[derive(Clone, Debug, PartialEq)]
pub enum Else {
    /// `else { … }`
    Block(Block),
    /// `else if … { … }`
    If(Box<Flow>, Span),
}

/// `catch Kind, Kind as e { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// The kinds of failure.
    pub kinds: Vec<Ident>,
    /// The failure's name inside.
    pub name: Option<Ident>,
    /// What happens then.
    pub body: Block,
}

/// `train model(args) after a { settings }`
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its keyword.
    pub kind: Spanned<StepKind>,
    /// What it works on, such as `mlp` or `best.model`; a search over steps has none.
    pub target: Option<Expr>,
    /// The arguments in parentheses.
    pub args: Vec<Arg>,
    /// The steps it waits for without taking data from them.
    pub after: Vec<Ident>,
    /// The settings in braces.
    pub settings: Vec<Setting>,
    /// The whole step.
    pub span: Span,
}

/// The keyword of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// `run`
    Run,
    /// `train`
    Train,
    /// `search`
    Search,
    /// `evaluate`
    Evaluate,
}

/// `name: value` or `name { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The annotations above it.
    pub annotations: Vec<Annotation>,
    /// Its name.
    pub name: Ident,
    /// What it holds.
    pub value: SettingValue,
    /// The whole setting.
    pub span: Span,
}

impl Setting {
    /// Whether its value could not be read.
    pub fn is_broken(&self) -> bool {
        matches!(&self.value, SettingValue::Expr { value, .. } if value.kind == ExprKind::Broken)
    }
}

/// What a setting holds.
#[expect(missing_docs, reason = "the line above each variant shows what its fields are")]
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// `name: expr`, and `name: expr if cond` in a search space
    Expr { value: Expr, cond: Option<Expr> },
    /// `name { setting… }`, such as `split` and `space`
    Settings(Vec<Setting>),
    /// `objective { statements }`
    Block(Block),
}

/// `name: value`, `value`, or `...value` in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The parameter's name, when given.
    pub name: Option<Ident>,
    /// Whether it is `...value`.
    pub spread: bool,
    /// The value.
    pub value: Expr,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its form.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The form of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `true`
    Bool(bool),
    /// `none`
    None,
    /// `42`
    Int(i64),
    /// `3.5e-4`
    Float(f64),
    /// `1h30min`
    Duration(Duration),
    /// `$12.50`
    Money(Money),
    /// `512MiB`
    Size(Size),
    /// `80%`
    Percent(Percent),
    /// `"text {expr}"`
    String(Vec<Piece>),
    /// A name.
    Name(Name),
    /// `a.b`
    Field(Box<Expr>, Ident),
    /// `a[i]`
    Index(Box<Expr>, Box<Expr>),
    /// `f(args)`
    Call(Box<Expr>, Vec<Arg>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `["k": v]`
    Map(Vec<(Expr, Expr)>),
    /// `-a` or `not a`
    Unary(Spanned<UnaryOp>, Box<Expr>),
    /// `a + b`
    Binary(Box<Expr>, Spanned<BinaryOp>, Box<Expr>),
    /// `if c then a else b`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `match e { A => x, _ => y }`
    Match(Box<Expr>, Vec<Arm>),
    /// `|x| expr`
    Lambda(Vec<Ident>, Box<Expr>),
    /// What could not be parsed or was nested too deeply, and has been reported.
    Broken,
}

/// A piece of a string.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text, escapes replaced.
    Text(Name),
    /// `{expr}`
    Expr(Expr),
}

/// An arm of a match.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// What it stands for; `None` is `_`.
    pub pattern: Option<Expr>,
    /// Where the pattern stands.
    pub span: Span,
    /// Its value.
    pub value: Expr,
}

/// A prefix operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `not`
    Not,
}

/// An infix operator, weakest first: `or`, `and`, comparisons, `??`, `..`, sums, products, `|>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `??`
    Coalesce,
    /// `..`
    Range,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `|>`
    Pipe,
}
