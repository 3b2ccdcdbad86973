module github.com/oss-callback/oss-callback/tests/bench/go-peer

go 1.21

require (
	github.com/aliyun/alibabacloud-oss-go-sdk-v2 v1.5.2
	github.com/oss-callback/oss-callback/tests/bench/go v0.0.0
)

require golang.org/x/time v0.4.0 // indirect

replace (
	github.com/oss-callback/oss-callback/go => ../../../go
	github.com/oss-callback/oss-callback/tests/bench/go => ../go
)
