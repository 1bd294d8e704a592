package linux

import "runtime"

// AsFSUser calls do on a thread that creates files as another user (setfsuid(2)) and keeps its capabilities. In an
// id-mapped mount, creating a file as a user that the mount does not map fails with EOVERFLOW.
func AsFSUser(uid, gid uint32, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := changeFSUser(uid, gid)
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}
