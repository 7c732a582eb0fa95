//! Arrays of NumPy: a zip archive of `.npy` files (NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays").

use super::{
    DataError, Prints, Read, Request,
    array::{Array, Kind, Named, Order, Stack, shown},
    columns::similar,
};
use crate::value::Pair;
use std::io::{Cursor, Read as _};
use zip::ZipArchive;

/// How many times its packed bytes an array may be at most: deflate packs 258 bytes into two bits (RFC 1951, section 3.2.5).
const MOST_PACKED: u64 = 1032;

/// The longest header: a type, an order and a handful of sizes.
const MAX_HEADER: usize = 1 << 16;

pub fn read(request: &Request, pair: &Pair, prints: &mut Prints) -> Result<Read, DataError> {
    let mut stack = Stack::new();
    for source in request.sources {
        let bytes = source.read(prints)?;
        let mut archive = Archive::open(&bytes, &source.name)?;
        let (features, labels) = (archive.array(&pair.features)?, archive.array(&pair.labels)?);
        let name = |array: &str| format!("{}/{array}", source.name);
        let features = Named { name: name(&pair.features), array: &features };
        stack.push(&features, &Named { name: name(&pair.labels), array: &labels })?;
    }
    stack.finish(&pair.features, request)
}

struct Archive<'a> {
    path: &'a str,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8], path: &'a str) -> Result<Self, DataError> {
        let zip = ZipArchive::new(Cursor::new(bytes));
        let zip = zip.map_err(|error| malformed(path, format!("its archive can't be read: {error}")))?;
        Ok(Self { path, zip })
    }

    fn array(&mut self, name: &str) -> Result<Array<'static>, DataError> {
        let bad = |reason: String| malformed(self.path, format!("the array `{name}`: {reason}"));
        let index = self.zip.index_for_name(&format!("{name}.npy")).ok_or_else(|| self.no_array(name))?;
        let mut file = self.zip.by_index(index).map_err(|error| bad(error.to_string()))?;
        let most = file.compressed_size().saturating_mul(MOST_PACKED);
        let cut = |_| bad("it ends within its header".into());
        let mut magic = [0; 8];
        file.read_exact(&mut magic).map_err(cut)?;
        let size = match magic {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => 2,
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => 4,
            _ => return Err(bad("it does not start as a file of NumPy does".into())),
        };
        let mut length = [0; 4];
        file.read_exact(&mut length[..size]).map_err(cut)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(bad(format!("its header is {length} bytes long")));
        }
        let mut header = vec![0; length];
        file.read_exact(&mut header).map_err(cut)?;
        let header = Header::parse(&String::from_utf8_lossy(&header)).map_err(|wrong| match wrong {
            Wrong::Header(reason) => bad(reason),
            Wrong::Type(holds) => {
                DataError::ArrayType { path: self.path.to_owned(), array: name.to_owned(), holds: holds.into() }
            }
        })?;
        let Header { sizes, kind, order } = header;
        let wanted = Array::bytes(&sizes, kind).and_then(|bytes| u64::try_from(bytes).ok());
        let Some(wanted) = wanted.filter(|wanted| *wanted <= most) else {
            return Err(bad(format!("its sizes are {}, more than the file can hold", shown(&sizes))));
        };
        let mut bytes = Vec::new();
        // One byte more, so that what is too long is seen, and the checksum at the end is looked at.
        file.take(wanted + 1).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
        if bytes.len() as u64 > wanted {
            return Err(bad(format!("more follows than its sizes, {}, can hold", shown(&sizes))));
        }
        Array::new(sizes, kind, order, bytes.into()).map_err(bad)
    }

    fn no_array(&self, name: &str) -> DataError {
        let file_names = self.zip.file_names().flatten();
        let mut arrays: Vec<String> =
            file_names.filter_map(|file| file.strip_suffix(".npy").map(str::to_owned)).collect();
        arrays.sort_unstable();
        let (path, array, similar) = (self.path.to_owned(), name.to_owned(), similar(name, &arrays));
        DataError::NoArray { path, array, format: "npz", similar, arrays }
    }
}

fn malformed(path: &str, reason: String) -> DataError {
    DataError::Malformed { path: path.to_owned(), format: "npz", reason }
}

/// What stands before an array's numbers.
struct Header {
    sizes: Vec<usize>,
    kind: Kind,
    order: Order,
}

/// Why a header can't be used.
enum Wrong {
    /// It is none.
    Header(String),
    /// The array holds something else than numbers.
    Type(&'static str),
}

impl Header {
    /// Reads a literal of a Python dictionary, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Result<Self, Wrong> {
        let value = |key: &str| {
            let value = text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
            value.ok_or_else(|| Wrong::Header(format!("its header has no `{key}`")))
        };
        let quoted = value("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let (descr, _) = quoted.ok_or(Wrong::Type("records"))?;
        let (big_endian, kind) = kind(descr).ok_or_else(|| {
            Wrong::Type(match descr.trim_start_matches(['<', '>', '|', '=']).chars().next() {
                Some('O') => "Python objects",
                Some('U' | 'S') => "texts",
                Some('M' | 'm') => "times",
                Some('c') => "complex numbers",
                _ => "values of another type",
            })
        })?;
        let first_quickest = value("fortran_order")?.starts_with("True");
        let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (shape, _) = shape.ok_or_else(|| Wrong::Header("its header has no sizes".into()))?;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let size = |size: &str| size.parse().map_err(|_| Wrong::Header(format!("its header has the size `{size}`")));
        let sizes = sizes.map(size).collect::<Result<_, _>>()?;
        Ok(Self { sizes, kind, order: Order { big_endian, first_quickest } })
    }
}

/// The type of numbers that NumPy describes so, such as `<f4`, and whether it is big endian.
fn kind(descr: &str) -> Option<(bool, Kind)> {
    let (order, name) = descr.split_at_checked(1)?;
    let kind = match name {
        "b1" => Kind::Bool,
        "i1" => Kind::I8,
        "u1" => Kind::U8,
        "i2" => Kind::I16,
        "u2" => Kind::U16,
        "i4" => Kind::I32,
        "u4" => Kind::U32,
        "i8" => Kind::I64,
        "u8" => Kind::U64,
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        _ => return None,
    };
    Some((order == ">", kind))
}
