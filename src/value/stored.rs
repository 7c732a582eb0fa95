use super::{Artifact, Call, Dataset, Location, Model, Value};

impl Value {
    /// Shows `visit` every stored file that the value names, those inside of models and datasets too.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        match self {
            Self::Artifact(artifact) => visit(artifact),
            Self::List(items) => items.iter().for_each(|item| item.stored_files(visit)),
            Self::Map(fields) | Self::Record(fields) => fields.values().for_each(|field| field.stored_files(visit)),
            Self::Std(call) => call.stored_files(visit),
            Self::Model(model) => model.stored_files(visit),
            Self::Dataset(dataset) => dataset.stored_files(visit),
            Self::None
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::Duration(_)
            | Self::Money(_)
            | Self::Size(_)
            | Self::Percent(_)
            | Self::Member(_)
            | Self::Range(_) => {}
        }
    }
}

impl Dataset {
    /// Shows `visit` every stored file that it is read from.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        for location in self.files.iter().chain(&self.test_files) {
            if let Location::Stored(artifact) = location {
                visit(artifact);
            }
        }
    }
}

impl Call {
    /// Shows `visit` every stored file that its arguments name.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        self.args.values().for_each(|arg| arg.stored_files(visit));
    }
}

impl Model {
    /// Shows `visit` its weights, and every stored file that its arguments name.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        self.weights.iter().for_each(&mut *visit);
        self.args.values().for_each(|arg| arg.stored_files(visit));
        self.layers.iter().for_each(|layer| layer.stored_files(visit));
    }
}
