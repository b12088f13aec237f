package aloft

// Object is an elastic object of the module: a pointer to a struct.
type Object interface {
	// Save writes the fields that ALOFT_STATE names, in that order.
	Save(out *Writer)
	// Load reads them into this fresh object.
	Load(in *Reader)
}

// Class makes objects as the class's default constructor does.
type Class struct {
	Name   string // for messages
	Fields int    // that ALOFT_STATE names
	Make   func() Object
}

// Classes are the module's, in the order in which the interface declares them. Set it in an init function.
var Classes []Class

var (
	class  *Class
	object Object
)

// CallMethod is the body of a method's export: as Call, with the object.
func CallMethod[T Object](name string, arguments, size uint32, parameters int, body func(self T, in *Reader, out *Writer)) uint32 {
	self, is := object.(T)
	if !is {
		say("aloft: there is no object for a call of " + name)
		return 0
	}
	return Call(name, arguments, size, parameters, func(in *Reader, out *Writer) { body(self, in, out) })
}

//go:wasmexport aloft_object_make
func objectMake(index uint32) uint32 {
	if uint64(index) >= uint64(len(Classes)) {
		return 0
	}
	class = &Classes[index]
	object = class.Make()
	return 1
}

//go:wasmexport aloft_state_save
func stateSave() uint32 {
	if object == nil {
		return 0
	}
	out := &Writer{}
	out.List(class.Fields)
	object.Save(out)
	return replyWith(out.bytes)
}

//go:wasmexport aloft_state_load
func stateLoad(state, size uint32) uint32 {
	if object == nil {
		return 0
	}
	in, loaded := &Reader{rest: bytesAt(state, size)}, class.Make()
	if in.Members(class.Fields) {
		loaded.Load(in)
	}
	if !in.Done() {
		say("aloft: this is no state of " + class.Name + ": " + in.failure)
		return 0
	}
	object = loaded
	return 1
}
