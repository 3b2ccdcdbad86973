module github.com/oss-callback/oss-callback/go

go 1.21
