package terminal

// Coloured is shown to tests: whether out is a terminal decides it.
var Coloured = coloured
