//! A page for each code: `smltc explain` prints it, the book shows it, and a test compiles its examples.

use super::Code;

macro_rules! pages {
    ($($code:ident)+) => {
        impl Code {
            /// The code's page, in Markdown: what it means, a file that gets it, and the file mended.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$code => include_str!(concat!("../../docs/src/diagnostics/", stringify!($code), ".md")),)+
                }
            }
        }
    };
}

pages! {
    E0001 E0002 E0003 E0004 E0005 E0006 E0007
    E0101 E0102 E0103 E0104 E0105 E0106
    E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208
    E0301 E0302 E0303 E0304
    E0401
    E0501 E0502
    E0601 E0602
    W1001 W1002 W1003 W1004
}
