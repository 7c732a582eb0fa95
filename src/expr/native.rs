use serde::{Deserialize, Serialize};

/// A built-in operation or function of the language, with its types already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Native {
    /// `-a`
    Neg,
    /// `not a`
    Not,
    /// `a and b`, which reads `b` only when `a` is true
    And,
    /// `a or b`, which reads `b` only when `a` is false
    Or,
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
    /// `a + b`: numbers, units of one kind, texts, lists
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`; whole numbers divide to a whole number, towards zero
    Div,
    /// `a ?? b`, which reads `b` only when `a` is `none`
    Coalesce,
    /// `a..b`
    Range,
    /// `map(list, f)`
    Map,
    /// `filter(list, f)`
    Filter,
    /// `fold(list, start, f)`
    Fold,
    /// `sort_by(list, f)`, stable
    SortBy,
    /// `len(list)`, also of maps and texts
    Len,
    /// `min(a, b)`
    Min,
    /// `max(a, b)`
    Max,
    /// `abs(x)`
    Abs,
    /// `sqrt(x)`
    Sqrt,
    /// `exp(x)`
    Exp,
    /// `log(x)`, the natural logarithm
    Log,
    /// `pow(x, y)`
    Pow,
    /// `floor(x)`, to a whole number
    Floor,
    /// `ceil(x)`, to a whole number
    Ceil,
    /// `round(x)`, to a whole number, halves away from zero
    Round,
    /// `float(x)`
    Float,
    /// `sum(list)`, from a zero of the items' type that the compiler adds
    Sum,
    /// `mean(list)`
    Mean,
    /// `range(n)`: the list 0, 1, …, n − 1
    Indices,
    /// `lower(text)`
    Lower,
    /// `upper(text)`
    Upper,
    /// `trim(text)`
    Trim,
    /// `split(text, separator)`
    Split,
    /// `join(list, separator)`
    Join,
    /// `contains(text, part)`
    Contains,
    /// `replace(text, from, to)`
    Replace,
    /// `text(x)`: any value as text
    ToText,
    /// `dataset.with(files: …)`
    WithFiles,
    /// `dataset.train`, `.valid`, `.test`
    TrainPart,
    /// The validation part of a dataset.
    ValidPart,
    /// The test part of a dataset.
    TestPart,
}
