"""`credence demo`: a clip that it makes itself, as a camera of its own, to a broker of its own."""
