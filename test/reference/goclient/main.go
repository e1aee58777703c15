// Uses a server through etcd's own Go client the way real programs do: keepalives, cancels, watches that survive a restart, locks.
//
// Prints one line per check, "ok NAME" or "fail NAME: reason". At "RESTART" it waits for a line on standard input, while the test
// restarts the server. Exit code 1 if a check failed. Run by test/reference/go-client.test.ts against ours and against etcd.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var failed = false

func check(name string, err error) {
	if err != nil {
		failed = true
		fmt.Printf("fail %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func within(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

func newClient(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{endpoint},
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		PermitWithoutStream:  true,
	})
	if err != nil {
		fmt.Printf("fail dial: %v\n", err)
		os.Exit(1)
	}
	return client
}

func keyValues(client *clientv3.Client) error {
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	if _, err := client.Put(ctx, "go/a", "1"); err != nil {
		return err
	}
	txn, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value("go/a"), "=", "1")).
		Then(clientv3.OpPut("go/b", "2"), clientv3.OpGet("go/", clientv3.WithPrefix())).
		Else(clientv3.OpGet("go/a")).
		Commit()
	if err != nil {
		return err
	}
	if !txn.Succeeded || len(txn.Responses[1].GetResponseRange().Kvs) != 2 {
		return fmt.Errorf("txn answered %v", txn)
	}
	got, err := client.Get(ctx, "go/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return err
	}
	if len(got.Kvs) != 2 || string(got.Kvs[0].Key) != "go/b" {
		return fmt.Errorf("get answered %v", got.Kvs)
	}
	_, err = client.Get(ctx, "go/a", clientv3.WithRev(got.Header.Revision+1000))
	if !errors.Is(err, rpctypes.ErrFutureRev) {
		return fmt.Errorf("a future revision answered %v", err)
	}
	return nil
}

func cancelledCall(client *clientv3.Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := client.Get(ctx, "go/a")
	if code := status.Code(err); !errors.Is(err, context.Canceled) && code != codes.Canceled {
		return fmt.Errorf("a cancelled get answered %v", err)
	}
	return nil
}

func cancelledWatch(client *clientv3.Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	watch := client.Watch(ctx, "go/w", clientv3.WithCreatedNotify())
	select {
	case response := <-watch:
		if !response.Created {
			return fmt.Errorf("first came %v", response)
		}
	case <-time.After(5 * time.Second):
		return errors.New("a watch was not created")
	}
	cancel()
	for {
		select {
		case _, open := <-watch:
			if !open {
				return nil
			}
		case <-time.After(5 * time.Second):
			return errors.New("a cancelled watch did not end")
		}
	}
}

func progress(client *clientv3.Client) error {
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	watch := client.Watch(ctx, "go/progress")
	for tries := 0; tries < 20; tries++ {
		if err := client.RequestProgress(ctx); err != nil {
			return err
		}
		select {
		case response := <-watch:
			if response.IsProgressNotify() {
				return nil
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errors.New("no progress was notified")
}

func lock(client *clientv3.Client) error {
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	if err != nil {
		return err
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, "go/lock")
	if err := mutex.Lock(ctx); err != nil {
		return err
	}
	other, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	if err != nil {
		return err
	}
	defer other.Close()
	if err := concurrency.NewMutex(other, "go/lock").TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		return fmt.Errorf("a held lock answered %v", err)
	}
	return mutex.Unlock(ctx)
}

func keepAlive(client *clientv3.Client, hold time.Duration) (clientv3.LeaseID, error) {
	ctx := context.Background()
	lease, err := client.Grant(ctx, 3)
	if err != nil {
		return 0, err
	}
	if _, err := client.Put(ctx, "go/leased", "x", clientv3.WithLease(lease.ID)); err != nil {
		return 0, err
	}
	answers, err := client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return 0, err
	}
	go func() {
		for range answers {
		}
	}()
	time.Sleep(hold)
	left, err := client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return 0, err
	}
	if left.TTL <= 0 || len(left.Keys) != 1 {
		return 0, fmt.Errorf("a kept lease has %v", left)
	}
	return lease.ID, nil
}

func nextValue(watch clientv3.WatchChan, want string) error {
	for {
		select {
		case response, open := <-watch:
			if !open || response.Err() != nil {
				return fmt.Errorf("the watch ended: %v", response.Err())
			}
			for _, event := range response.Events {
				if got := string(event.Kv.Value); got != want {
					return fmt.Errorf("got %q, want %q", got, want)
				}
				return nil
			}
		case <-time.After(20 * time.Second):
			return fmt.Errorf("%q did not come", want)
		}
	}
}

func acrossRestart(client *clientv3.Client) {
	lease, err := keepAlive(client, 4*time.Second)
	check("a lease kept alive outlives its TTL", err)
	watch := client.Watch(context.Background(), "go/restart")
	_, err = client.Put(context.Background(), "go/restart", "before")
	check("a put before the restart", err)
	check("its event", nextValue(watch, "before"))
	fmt.Println("RESTART")
	bufio.NewReader(os.Stdin).ReadString('\n')
	ctx, cancel := within(20 * time.Second)
	defer cancel()
	for {
		if _, err = client.Put(ctx, "go/restart", "after"); err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	check("a put after the restart", err)
	check("its event on the same watch", nextValue(watch, "after"))
	time.Sleep(4 * time.Second)
	left, err := client.TimeToLive(ctx, lease)
	if err == nil && left.TTL <= 0 {
		err = fmt.Errorf("the lease has %d s left", left.TTL)
	}
	check("the keepalive goes on after the restart", err)
	_, err = client.Revoke(ctx, lease)
	check("a lease is revoked", err)
	got, err := client.Get(ctx, "go/leased")
	if err == nil && len(got.Kvs) != 0 {
		err = errors.New("its key is still there")
	}
	check("its key is gone", err)
}

func main() {
	client := newClient(os.Args[1])
	defer client.Close()
	check("keys, txn, order, refusals", keyValues(client))
	check("a cancelled call", cancelledCall(client))
	check("a cancelled watch", cancelledWatch(client))
	check("progress on request", progress(client))
	check("a lock over lease, txn and watch", lock(client))
	acrossRestart(client)
	if failed {
		os.Exit(1)
	}
}
