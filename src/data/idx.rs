//! The idx format of the MNIST family: a type, the sizes of each dimension, then the numbers (LeCun, "The MNIST database").

use super::{
    DataError, Prints, Read, Request,
    array::{Array, Kind, Named, Order, Stack},
    files::Files,
};

const ORDER: Order = Order { big_endian: true, first_quickest: false };

pub fn read(request: &Request, labels: Option<&str>, files: &Files, prints: &mut Prints) -> Result<Read, DataError> {
    // Test files have labels of their own, which are found by their name.
    let named = labels.filter(|_| request.known.is_none());
    let mut stack = Stack::new();
    for source in request.sources {
        let bytes = source.read(prints)?;
        let images = parse(&bytes, &source.name)?.with_channel();
        let label_name = match named {
            Some(name) => name.to_owned(),
            None => source.name.replace("images-idx3", "labels-idx1"),
        };
        if label_name == source.name {
            return Err(DataError::NoLabel(request.dataset.name.to_string()));
        }
        let bytes = files.beside(&label_name)?.read(prints)?;
        let labels = parse(&bytes, &label_name)?;
        let images = Named { name: source.name.clone(), array: &images };
        stack.push(&images, &Named { name: label_name, array: &labels })?;
    }
    stack.finish("pixel", request)
}

fn parse<'b>(bytes: &'b [u8], path: &str) -> Result<Array<'b>, DataError> {
    let bad = |reason: String| DataError::Malformed { path: path.to_owned(), format: "idx", reason };
    let [0, 0, kind, dims, rest @ ..] = bytes else {
        return Err(bad("it does not start with two zero bytes".into()));
    };
    let dims = usize::from(*dims);
    let (head, body) = rest.split_at_checked(dims * 4).ok_or_else(|| bad("it ends within its sizes".into()))?;
    let word = |bytes: &[u8]| bytes.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
    let sizes: Vec<usize> = head.chunks_exact(4).map(word).collect();
    let kind = match kind {
        0x08 => Kind::U8,
        0x09 => Kind::I8,
        0x0b => Kind::I16,
        0x0c => Kind::I32,
        0x0d => Kind::F32,
        0x0e => Kind::F64,
        other => return Err(bad(format!("it holds numbers of an unknown type, {other:#04x}"))),
    };
    Array::new(sizes, kind, ORDER, body.into()).map_err(bad)
}
