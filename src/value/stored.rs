use super::{Artifact, Call, Location, Model, Value};

impl Value {
    /// Shows `visit` every stored file that the value names, those inside of models and datasets too.
    pub fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        match self {
            Self::Artifact(artifact) => visit(artifact),
            Self::List(items) => items.iter().for_each(|item| item.stored_files(visit)),
            Self::Map(fields) | Self::Record(fields) => fields.values().for_each(|field| field.stored_files(visit)),
            Self::Std(call) => call.stored_files(visit),
            Self::Model(model) => model.stored_files(visit),
            Self::Dataset(dataset) => {
                for location in dataset.files.iter().chain(&dataset.test_files) {
                    if let Location::Stored(artifact) = location {
                        visit(artifact);
                    }
                }
            }
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

impl Call {
    fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        self.args.values().for_each(|arg| arg.stored_files(visit));
    }
}

impl Model {
    fn stored_files(&self, visit: &mut dyn FnMut(&Artifact)) {
        self.weights.iter().for_each(&mut *visit);
        self.args.values().for_each(|arg| arg.stored_files(visit));
        self.layers.iter().for_each(|layer| layer.stored_files(visit));
    }
}
