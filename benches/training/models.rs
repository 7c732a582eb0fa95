//! The models that are measured, each as layers of `std/nn` and as a module of PyTorch.

use smlt::{
    data::{Labels, Table},
    seed::Seed,
    value::{Call, Model as Pipeline, Value},
};

/// A model and the batch that it is measured on.
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// The shape of a sample.
    pub input: &'static [usize],
    /// The samples of a batch.
    pub batch: usize,
    /// The steps that are measured at once.
    pub steps: usize,
    /// Its layers.
    pub layers: fn() -> Vec<Call>,
    /// An expression of Python that makes it.
    pub torch: &'static str,
}

/// The models.
pub const MODELS: [Model; 3] = [
    Model { name: "mlp 784-512-512-10", input: &[784], batch: 128, steps: 60, layers: mlp, torch: MLP },
    Model { name: "CNN, 5×5 filters", input: &[1, 28, 28], batch: 64, steps: 20, layers: cnn, torch: CNN },
    Model {
        name: "transformer, 4 layers",
        input: &[128, 64],
        batch: 8,
        steps: 4,
        layers: transformer,
        torch: TRANSFORMER,
    },
];

const MLP: &str = "nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))";

fn mlp() -> Vec<Call> {
    vec![dense(784, 512), bare("relu"), dense(512, 512), bare("relu"), dense(512, 10)]
}

const CNN: &str = "nn.Sequential(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(), \
                   nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))";

fn cnn() -> Vec<Call> {
    let conv = |inputs, outputs| {
        let window = [("kernel", 5), ("stride", 1), ("padding", 0)];
        layer("conv2d", &[&[("inputs", inputs), ("outputs", outputs)], &window[..]].concat())
    };
    let pool = || layer("max_pool2d", &[("size", 2), ("stride", 2), ("padding", 0)]);
    vec![
        conv(1, 32),
        bare("relu"),
        pool(),
        conv(32, 64),
        bare("relu"),
        pool(),
        bare("flatten"),
        dense(1024, 1024),
        bare("relu"),
        dense(1024, 10),
    ]
}

/// An encoder as Vaswani et al. (2017) have it, on rows of 64 numbers.
const TRANSFORMER: &str = "Encoder()";

fn transformer() -> Vec<Call> {
    let residual = |body: &[Call]| {
        let body = Value::Model(Box::new(Pipeline::pipeline(body.to_vec())));
        Call::new("residual", [("body".into(), body), ("shortcut".into(), Value::None)].into())
    };
    let norm = || layer("layer_norm", &[("features", 512)]);
    let attention = layer("attention", &[("features", 512), ("heads", 8)]);
    let mut layers = vec![dense(64, 512)];
    for _ in 0..4 {
        layers.push(residual(std::slice::from_ref(&attention)));
        layers.push(norm());
        layers.push(residual(&[dense(512, 2048), bare("gelu"), dense(2048, 512)]));
        layers.push(norm());
    }
    layers.extend([bare("mean_pool"), dense(512, 10)]);
    layers
}

fn layer(name: &str, args: &[(&str, i64)]) -> Call {
    Call::new(name, args.iter().map(|(name, value)| ((*name).into(), Value::Int(*value))).collect())
}

fn bare(name: &str) -> Call {
    layer(name, &[])
}

fn dense(inputs: i64, outputs: i64) -> Call {
    layer("dense", &[("inputs", inputs), ("outputs", outputs)])
}

/// Adam with its usual settings.
pub fn adam() -> Call {
    let numbers = [("lr", 0.001), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.0)];
    Call::new("adam", numbers.map(|(name, value)| (name.into(), Value::Float(value))).into())
}

/// A batch of random samples of ten classes.
pub fn batch(shape: &[usize], rows: usize) -> Table {
    let mut generator = Seed::new(1).generator();
    let width: usize = shape.iter().product();
    let labels = Labels::Classes {
        indices: (0..rows).map(|_| generator.below(10) as u32).collect(),
        names: (0..10).map(|class| class.to_string()).collect(),
    };
    Table { features: (0..rows * width).map(|_| generator.normal() as f32).collect(), shape: shape.to_vec(), labels }
}
