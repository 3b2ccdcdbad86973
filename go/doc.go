// Package osscallback uploads to Alibaba Cloud OSS with a callback: OSS stores the object, asks your
// application server, and hands its answer back to the uploader, all in one request.
//
//	client, err := osscallback.NewClient(osscallback.Options{Region: "cn-hangzhou"})
//	...
//	defer client.Close()
//	callback, err := osscallback.NewCallback("https://app.example.com/oss", nil)
//	...
//	reply, err := client.PutObjectWithCallback(ctx, "examplebucket", "cat.jpg", data, callback, nil)
//
// # Errors
//
// Every error is an [*Error] with a [Kind] and the facts that are known. Compare with [errors.Is] and
// [ErrTimeout], [ErrCallbackFailed] and their like; take the facts by [errors.As]. A call that its
// context ended is [ErrCancelled], and also [context.Canceled] or [context.DeadlineExceeded], whichever
// it was. With [ErrCallbackFailed] the object is stored. Only what [VerifierOptions.FirstUse] returns is
// handed on as it is.
//
// # Calls
//
// A [Client], a [Callback], a [CallbackVerifier] and a [Signer] may be used by any number of goroutines at once. Close frees
// what lies outside Go's memory; calls under way go on to their end. Whoever forgets Close is helped by
// the garbage collector, at a time of its own choosing. A call blocks its goroutine. Uploads of bytes wait for
// their answers as Go's own connections do, without a thread each, but for one that is alone; an upload from a
// [Source] keeps a thread, as calls of C do.
//
// # Files, streams and large objects
//
// [Client.UploadFileWithCallback] takes a [Source] of any size, in parts where it is large, goes on where a
// killed upload was, and has one callback made when the object is whole.
//
// # Receiving callbacks
//
// [CallbackVerifier.Handler] is an http.Handler for the application server: it verifies that a callback is
// from OSS, says what it tells, and sends an answer that OSS accepts.
//
// # Building
//
// The module comes from the tree, whose folder go is named in your go.mod:
//
//	go mod edit -require=github.com/oss-callback/oss-callback/go@v0.0.0
//	go mod edit -replace=github.com/oss-callback/oss-callback/go=/path/to/oss-callback/go
//
// The package needs cgo, a C compiler and the library liboss_callback with its header, both from
// `cargo xtask install --prefix P` in the tree. By default pkg-config finds them, and links the shared
// library; the program must find it, too, when it starts: by a path within the program (rpath) or by
// LD_LIBRARY_PATH, which is DYLD_LIBRARY_PATH on macOS.
//
//	export PKG_CONFIG_PATH=P/lib/pkgconfig
//	go build -ldflags '-extldflags "-Wl,-rpath,P/lib"' ./...
//
// With the tag osscallback_static nothing is looked up, and you say what to link; that makes programs
// that need no shared library:
//
//	CGO_CFLAGS=-IP/include CGO_LDFLAGS=P/lib/liboss_callback.a go build -tags osscallback_static ./...
package osscallback
