// A page that was opened as a file may start no worker. There its scripts run in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inside = frame.contentWindow
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside = inside
      this.waiting = []
      const script = inside.document.createElement("script")
      script.src = url
      script.onload = () => { this.ready = true; this.waiting.forEach(data => this.postMessage(data)) }
      inside.document.body.appendChild(script)
    }
    postMessage(data) {
      if (this.ready) this.inside.dispatchEvent(new MessageEvent("message", { data }))
      else this.waiting.push(data)
    }
    terminate() { this.inside.frameElement.remove() }
  }
}
