//! How the image of functions that run commands is made.

/// A `Containerfile`, which has what a worker needs and leaves room for what its commands need.
pub fn containerfile() -> &'static str {
    "\
# The image of the functions that run commands. Before it is built, `smlt-worker` must lie here as `bootstrap`.
FROM amazon/aws-lambda-python:3.13

# What the commands need beyond Python and a shell goes here:
# RUN dnf install -y …  &&  dnf clean all
# RUN pip install --no-cache-dir …

COPY bootstrap book.json /var/task/
RUN chmod 755 /var/task/bootstrap && chmod 644 /var/task/book.json
ENTRYPOINT [\"/var/task/bootstrap\"]
"
}
