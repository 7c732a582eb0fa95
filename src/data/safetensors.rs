//! Tensors behind a header of JSON, as the libraries of Hugging Face write them.

use super::{
    DataError, Prints, Read, Request,
    array::{Array, Kind, Named, Order, Stack},
    columns::similar,
};
use crate::value::Pair;
use safetensors::{Dtype, SafeTensors};

pub fn read(request: &Request, pair: &Pair, prints: &mut Prints) -> Result<Read, DataError> {
    let mut stack = Stack::new();
    for source in request.sources {
        let bytes = source.read(prints)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| malformed(&source.name, error.to_string()))?;
        let (features, labels) =
            (array(&tensors, &pair.features, &source.name)?, array(&tensors, &pair.labels, &source.name)?);
        let name = |array: &str| format!("{}/{array}", source.name);
        let features = Named { name: name(&pair.features), array: &features };
        stack.push(&features, &Named { name: name(&pair.labels), array: &labels })?;
    }
    stack.finish(&pair.features, request)
}

fn array<'b>(tensors: &SafeTensors<'b>, name: &str, path: &str) -> Result<Array<'b>, DataError> {
    let Ok(tensor) = tensors.tensor(name) else {
        let mut arrays: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        arrays.sort_unstable();
        let (path, array, similar) = (path.to_owned(), name.to_owned(), similar(name, &arrays));
        return Err(DataError::NoArray { path, array, format: "safetensors", similar, arrays });
    };
    let bad = |reason: String| malformed(path, format!("the tensor `{name}`: {reason}"));
    let kind = match tensor.dtype() {
        Dtype::BOOL => Kind::Bool,
        Dtype::I8 => Kind::I8,
        Dtype::U8 => Kind::U8,
        Dtype::I16 => Kind::I16,
        Dtype::U16 => Kind::U16,
        Dtype::I32 => Kind::I32,
        Dtype::U32 => Kind::U32,
        Dtype::I64 => Kind::I64,
        Dtype::U64 => Kind::U64,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::Bf16,
        Dtype::F32 => Kind::F32,
        Dtype::F64 => Kind::F64,
        other => {
            let (path, array) = (path.to_owned(), name.to_owned());
            return Err(DataError::ArrayType { path, array, holds: format!("values of the type {other:?}") });
        }
    };
    Array::new(tensor.shape().to_vec(), kind, Order::USUAL, tensor.data().into()).map_err(bad)
}

fn malformed(path: &str, reason: String) -> DataError {
    DataError::Malformed { path: path.to_owned(), format: "safetensors", reason }
}
