"""Co-design: networks that are trained for the circuit, and with chips in the loop."""
