//! The standard library: `.smlt` modules inside the binary, and the native functions behind their `extern` declarations.

#[cfg(test)]
mod tests;

use crate::expr::Native;

/// The modules, by the name after `std/`.
pub const MODULES: [(&str, &str); 12] = [
    ("data", include_str!("../stdlib/data.smlt")),
    ("loss", include_str!("../stdlib/loss.smlt")),
    ("math", include_str!("../stdlib/math.smlt")),
    ("metrics", include_str!("../stdlib/metrics.smlt")),
    ("models", include_str!("../stdlib/models.smlt")),
    ("nn", include_str!("../stdlib/nn.smlt")),
    ("optim", include_str!("../stdlib/optim.smlt")),
    ("run", include_str!("../stdlib/run.smlt")),
    ("search", include_str!("../stdlib/search.smlt")),
    ("space", include_str!("../stdlib/space.smlt")),
    ("sync", include_str!("../stdlib/sync.smlt")),
    ("text", include_str!("../stdlib/text.smlt")),
];

/// The modules whose names need no import, in the order in which a name is looked up.
pub const PRELUDE: [&str; 8] = ["math", "text", "data", "optim", "loss", "metrics", "sync", "run"];

/// The text of the module `std/…`.
pub fn source(module: &str) -> Option<&'static str> {
    MODULES.into_iter().find(|(name, _)| *name == module).map(|(_, text)| text)
}

/// The native function behind an `extern fn` that is not a constructor of an opaque `std` type.
pub fn native(name: &str) -> Option<Native> {
    Some(match name {
        "min" => Native::Min,
        "max" => Native::Max,
        "abs" => Native::Abs,
        "sqrt" => Native::Sqrt,
        "exp" => Native::Exp,
        "log" => Native::Log,
        "pow" => Native::Pow,
        "floor" => Native::Floor,
        "ceil" => Native::Ceil,
        "round" => Native::Round,
        "float" => Native::Float,
        "len" => Native::Len,
        "sum" => Native::Sum,
        "mean" => Native::Mean,
        "range" => Native::Indices,
        "map" => Native::Map,
        "filter" => Native::Filter,
        "fold" => Native::Fold,
        "sort_by" => Native::SortBy,
        "lower" => Native::Lower,
        "upper" => Native::Upper,
        "trim" => Native::Trim,
        "split" => Native::Split,
        "join" => Native::Join,
        "contains" => Native::Contains,
        "replace" => Native::Replace,
        "text" => Native::ToText,
        _ => return None,
    })
}
