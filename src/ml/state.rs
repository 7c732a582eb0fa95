//! What a training leaves behind: weights for use, and checkpoints to go on from.

use super::{
    MlError,
    network::{Network, Parameter, Weights},
    unusable,
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// Under this key a file's metadata holds one JSON text, so that its bytes do not depend on the order of a map.
const KEY: &str = "smltc";

/// Named rows of numbers with something to say about them.
pub struct State {
    rows: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl State {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, name: impl Into<String>, row: &[f32]) {
        self.rows.push((name.into(), vec![row.len()], row.to_vec()));
    }

    /// Adds the part of a row that one of several writers has to write.
    pub fn add_part(&mut self, name: impl Into<String>, row: &[f32], writer: usize, of: usize) {
        let at = |writer: usize| row.len() * writer / of;
        self.add(name, &row[at(writer)..at(writer + 1)]);
    }

    /// The weights of a model, block by block, under the names of its parameters.
    pub fn of_model(network: &Network, weights: &Weights) -> Self {
        let block = |row: &[f32], parameter: &Parameter| {
            (parameter.name.clone(), parameter.shape.clone(), row[parameter.range.clone()].to_vec())
        };
        let parameters = network.parameters.iter().map(|parameter| block(&weights.parameters, parameter));
        let averages = network.averages.iter().map(|average| block(&weights.averages, average));
        Self { rows: parameters.chain(averages).collect() }
    }

    /// The bytes of a safetensors file.
    pub fn to_bytes(&self, about: &impl Serialize) -> Result<Vec<u8>, MlError> {
        let broken =
            |error: String| unusable(format!("the weights can't be written: {error}"), "this is a fault of smltc");
        let about = serde_json::to_string(about).map_err(|error| broken(error.to_string()))?;
        let bytes: Vec<Vec<u8>> =
            self.rows.iter().map(|(_, _, row)| row.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
        let views = self.rows.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| broken(error.to_string()))?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), about)]))).map_err(|error| broken(error.to_string()))
    }

    /// Reads a safetensors file and what it says about itself.
    pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<(Loaded, T), MlError> {
        let broken = |error: String| {
            unusable(format!("`{name}` is not a file of weights: {error}"), "give it what a training made")
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| broken(error.to_string()))?;
        let mut rows = HashMap::new();
        for (name, view) in tensors.tensors() {
            let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            rows.insert(name, numbers.collect());
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| broken(error.to_string()))?;
        let about = metadata
            .metadata()
            .as_ref()
            .and_then(|about| about.get(KEY))
            .ok_or_else(|| broken("it says nothing about itself".into()))?;
        let about = serde_json::from_str(about).map_err(|error| broken(error.to_string()))?;
        Ok((Loaded { rows, name: name.to_owned() }, about))
    }
}

/// Reads what several writers have written, in their order: their parts of each row, one after the other.
pub fn join<T: DeserializeOwned>(parts: &[Vec<u8>], name: &str) -> Result<(Loaded, T), MlError> {
    let nothing = || unusable(format!("`{name}` is of no writer"), "this is a fault of smltc");
    let (first, others) = parts.split_first().ok_or_else(nothing)?;
    let (mut all, about) = State::from_bytes::<T>(first, name)?;
    for part in others {
        let (part, _) = State::from_bytes::<serde::de::IgnoredAny>(part, name)?;
        for (name, row) in part.rows {
            all.rows.entry(name).or_default().extend(row);
        }
    }
    Ok((all, about))
}

/// Rows that were read.
pub struct Loaded {
    rows: HashMap<String, Vec<f32>>,
    name: String,
}

impl Loaded {
    /// Takes the row called `name`, which must have `length` numbers.
    pub fn take(&mut self, name: &str, length: usize) -> Result<Vec<f32>, MlError> {
        let row = self.rows.remove(name).filter(|row| row.len() == length);
        row.ok_or_else(|| {
            unusable(
                format!("the weights `{}` are not of this model: they lack `{name}` with {length} numbers", self.name),
                "weights fit the model that they were trained for, with the same sizes",
            )
        })
    }

    /// Takes the row called `name`, however long it is; an empty one where there is none.
    pub fn take_any(&mut self, name: &str) -> Vec<f32> {
        self.rows.remove(name).unwrap_or_default()
    }

    /// The weights of a model.
    pub fn weights(&mut self, network: &Network) -> Result<Weights, MlError> {
        let mut row = |blocks: &[Parameter]| -> Result<Vec<f32>, MlError> {
            let mut row = Vec::new();
            for block in blocks {
                row.extend(self.take(&block.name, block.range.len())?);
            }
            Ok(row)
        };
        Ok(Weights { parameters: row(&network.parameters)?, averages: row(&network.averages)? })
    }
}
