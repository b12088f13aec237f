module conformance

go 1.24

require aloft v0.0.0

replace aloft => ../../../guest/go
