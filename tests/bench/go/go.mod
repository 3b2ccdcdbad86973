module github.com/oss-callback/oss-callback/tests/bench/go

go 1.21

require github.com/oss-callback/oss-callback/go v0.0.0

replace github.com/oss-callback/oss-callback/go => ../../../go
